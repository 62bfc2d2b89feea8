"""Upscale images with a trained DeCoNASNet."""
from functools import partial

from deconas_plugin.commands.arguments import (
    add_device,
    add_max_pixels,
    add_output,
    add_scale,
    add_tile,
    complete_weights,
)

EXAMPLES = """examples:
  one image, into photo_x2.png beside it, with the best network of the model zoo:
    deconas upscale photo.jpg
  every image of a folder and its subfolders, into folders of the same names:
    deconas upscale photos results/photos --recursive --weights net_g_latest.pth
  some of them, as JPEG, on the GPU in half precision, slower and a little better:
    deconas upscale "photos/*.jpg" results/photos --format jpg --precision fp16 --self-ensemble
  one image into one file:
    deconas upscale cat.jpg cat_x2.webp --weights net.safetensors

PNG, JPEG, BMP, TIFF, WebP, GIF (the first picture), AVIF, JPEG 2000 and PPM are read. Results have the alpha channel,
colour profile and EXIF data of the image, upright; a PNG its depth (8 or 16 bits) too. Those that are there already are
left alone. Exit code: 0 all well, 1 some images were left out (listed), 2 nothing could be done.
"""


def add_arguments(parser):
    parser.add_argument('paths', nargs='+', metavar='INPUT', help='image, folder of images or pattern in quotes; the '
                        'last of several is the OUTPUT, unless -o names it')
    add_output(parser, 'folder for the results, or a .png, .jpg or .webp for one image (default: beside the input)')
    weights = parser.add_argument('--weights', metavar='NAME', help='weight file or name in the model zoo (default: '
                                  'the best network of the zoo for the scale)')
    weights.completer = complete_weights
    add_scale(parser, 'default: that of the weights, else 2')
    add_device(parser)
    parser.add_argument('--precision', choices=['auto', 'float32', 'bf16', 'fp16'], default='float32',
                        help='of the computation (default: float32; bf16 is off by about a grey level at most places '
                        'and faster where the processor knows it, which auto finds out; fp16 is for GPUs)')
    parser.add_argument('--backend', metavar='NAME', default='auto',
                        help='what runs the network: torch, openvino, onnxruntime, or auto, the fastest of those that '
                        'are installed, measured in the first three runs with a network, precision and size (default: '
                        'auto); '
                        'onnxruntime:cuda and onnxruntime:tensorrt are there and untried')
    add_tile(parser, 'default: what suits the backend')
    parser.add_argument('--self-ensemble', action='store_true',
                        help='average over the eight flips and transpositions: a little better, eight times slower')
    parser.add_argument('--recursive', action='store_true', help='look into subfolders too')
    parser.add_argument('--format', choices=['png', 'jpg', 'webp'], help='of results in a folder; jpg has quality 95, '
                        'webp no loss, both 8 bits (default: png)')
    parser.add_argument('--suffix', metavar='TEXT', help='put behind the names of results (default: _x2, the scale, '
                        'beside the input, and none in an output folder)')
    add_max_pixels(parser)
    parser.add_argument('--overwrite', action='store_true', help='make results anew that are there already')


def run(args):
    from tqdm import tqdm

    from deconas_plugin.data.images.reader import MAX_PIXELS
    from deconas_plugin.inference.jobs import plan_jobs, run_jobs
    from deconas_plugin.inference.upscaler import Upscaler
    from deconas_plugin.machine.console import progress_bar

    inputs, output = args.paths, args.output
    if output is None and len(inputs) > 1:
        *inputs, output = inputs
    upscaler = Upscaler(args.weights, args.device, args.precision, args.tile, args.self_ensemble, args.scale,
                        args.backend, say=tqdm.write)
    jobs, left_out = plan_jobs(inputs, output, suffix=args.suffix, ending=args.format and f'.{args.format}',
                               recursive=args.recursive, scale=upscaler.scale)
    outcome = run_jobs(jobs, upscaler, args.overwrite, partial(progress_bar, unit='images'),
                       args.max_pixels or MAX_PIXELS)
    print(f'{outcome.written} upscaled, {outcome.skipped} skipped because they are there already')
    if len(jobs) == 1 and outcome.written:
        print(jobs[0].target)
    left_out += outcome.failed
    for line in left_out:
        print(f'left out: {line}')
    return 1 if left_out else 0
