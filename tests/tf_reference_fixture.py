"""The reference's network written anew in numpy by TensorFlow's rules: the measure for what converts its weights.

Images are (N, H, W, C), BGR, with the mean subtracted outside; kernels (height, width, in, out).
"""
import numpy as np

BGR_MEAN = np.array([103.154, 111.561, 114.356]) / 255


class Arc:
    """A genotype as the reference reads it: bits grouped cell -> earlier feature -> operation, then the fusions."""

    def __init__(self, bits, num_layers=4, num_cells=4):
        self.num_layers, self.num_cells = num_layers, num_cells
        bits = [int(bit) for bit in bits.replace(' ', '')]
        self.cells = []
        for cell in range(num_cells):
            here, bits = np.reshape(bits[:3 * (cell + 1)], (cell + 1, 3)), bits[3 * (cell + 1):]
            self.cells.append([np.flatnonzero(here[:, operation]) for operation in range(3)])
        local, last = bits[:num_cells] or [1] * num_cells, bits[num_cells:] or [1] * num_layers
        self.local = [*np.flatnonzero(local), num_cells]
        self.last = [*np.flatnonzero(last), num_layers]


def make_variables(arc, num_feat=8, scale=2, seed=0):
    """dict[str, ndarray]: Random variables of a network of this genotype, by the reference's names."""
    rng = np.random.default_rng(seed)
    variables = {}

    def add(scope, suffix, height, read, write, outer='w', inner='b'):
        spread = 1.5 / np.sqrt(height * height * read)
        variables[f'child/{scope}{outer}{suffix}'] = rng.normal(0, spread, (height, height, read, write))
        variables[f'child/{scope}{inner}{suffix}'] = rng.normal(0, 0.1, write)

    c = num_feat
    add('stem_conv/', '_grl', 3, 3, c)
    add('stem_conv/', '_sfe', 3, c, c)
    for layer in range(arc.num_layers):
        for cell, (conv, sep, dilated) in enumerate(arc.cells):
            scope = f'layer_{layer}/cell_{cell}/'
            if len(conv):
                add(scope + 'conv/', '', 3, c * len(conv), c)
            if len(sep):
                add(scope + 'sep_conv/', '', 1, c * len(sep), c, outer='w_point')
                depth = rng.normal(0, 0.5, (3, 3, c * len(sep), 1))
                variables[f'child/{scope}sep_conv/w_depth'] = depth
            if len(dilated):
                add(scope + 'dilated_conv/', '', 3, c * len(dilated), c)
            add(scope + 'channel_attn/', '', 1, c, c // 4, 'wd_w', 'wd_b')
            add(scope + 'channel_attn/', '', 1, c // 4, c, 'wu_w', 'wu_b')
        add(f'layer_{layer}/local_concat/', '_lc', 1, c * len(arc.local), c)
        add(f'layer_{layer}/block_connection_{layer}/', '_bc', 1, c * (layer + 2), c)
    add('global_concat/', '_gc', 1, c * len(arc.last), c)
    add('global_concat/', '_gfe', 3, c, c)
    for stage, factor in ([('1', 2), ('2', 2)] if scale == 4 else [('', scale)]):
        add('', f'_rsu{stage}', 3, c, factor * factor * c)
    add('result_conv/', '', 3, c, 3)
    return {name: array.astype(np.float32) for name, array in variables.items()}


def conv2d(x, kernel, rate=1):
    """Stride 1, padding SAME."""
    height, width = kernel.shape[0], kernel.shape[1]
    top, left = rate * (height // 2), rate * (width // 2)
    padded = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
    return sum(padded[:, rate * i:rate * i + x.shape[1], rate * j:rate * j + x.shape[2]] @ kernel[i, j]
               for i in range(height) for j in range(width))


def depthwise_conv2d(x, kernel):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(padded[:, i:i + x.shape[1], j:j + x.shape[2]] * kernel[i, j, :, 0] for i in range(3) for j in range(3))


def depth_to_space(x, block):
    number, height, width, channels = x.shape
    x = x.reshape(number, height, width, block, block, channels // block**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(number, height * block, width * block, -1)


def relu(x):
    return np.maximum(x, 0)


def run_reference(variables, arc, image, scale=2):
    """ndarray: The upscaled images, (N, scale * H, scale * W, 3), BGR, for images (N, H, W, 3) in [0, 1], BGR."""

    def conv(x, scope, suffix='', rate=1, outer='w', inner='b'):
        return conv2d(x, variables[f'child/{scope}{outer}{suffix}'], rate) + variables[f'child/{scope}{inner}{suffix}']

    def run_cell(features, scope, operations):
        read = [np.concatenate([relu(features[i]) for i in inputs], 3) if len(inputs) else None
                for inputs in operations]
        outputs = []
        if read[0] is not None:
            outputs.append(conv(read[0], scope + 'conv/'))
        if read[1] is not None:
            deep = depthwise_conv2d(read[1], variables[f'child/{scope}sep_conv/w_depth'])
            outputs.append(conv(deep, scope + 'sep_conv/', outer='w_point'))
        if read[2] is not None:
            outputs.append(conv(read[2], scope + 'dilated_conv/', rate=3))
        out = relu(np.mean(outputs, 0) if outputs else features[-1])
        squeezed = relu(conv(out.mean((1, 2), keepdims=True), scope + 'channel_attn/', outer='wd_w', inner='wd_b'))
        excited = conv(squeezed, scope + 'channel_attn/', outer='wu_w', inner='wu_b')
        return out / (1 + np.exp(-excited))

    shallow = conv(image.astype(np.float64) - BGR_MEAN, 'stem_conv/', '_grl')
    outputs = [conv(shallow, 'stem_conv/', '_sfe')]
    x = outputs[0]
    for layer in range(arc.num_layers):
        features = [x]
        for cell, operations in enumerate(arc.cells):
            features.append(run_cell(features, f'layer_{layer}/cell_{cell}/', operations))
        fused = np.concatenate([features[i] for i in arc.local], 3)
        outputs.append(conv(fused, f'layer_{layer}/local_concat/', '_lc') + x)
        x = conv(np.concatenate(outputs, 3), f'layer_{layer}/block_connection_{layer}/', '_bc')
    x = conv(np.concatenate([outputs[i] for i in arc.last], 3), 'global_concat/', '_gc')
    x = conv(x, 'global_concat/', '_gfe') + shallow
    for stage, factor in ([('1', 2), ('2', 2)] if scale == 4 else [('', scale)]):
        x = depth_to_space(conv(x, '', f'_rsu{stage}'), factor)
    return conv(x, 'result_conv/') + BGR_MEAN
