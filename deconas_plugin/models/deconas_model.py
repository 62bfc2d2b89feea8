"""BasicSR's SRModel with what today's hardware offers: reduced precision, channels_last, gradient clipping."""
from collections import OrderedDict
from functools import cached_property

import torch
from basicsr.metrics import calculate_metric
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger, tensor2img
from basicsr.utils.matlab_functions import imresize
from basicsr.utils.registry import MODEL_REGISTRY

from deconas_plugin.errors import OptionError
from deconas_plugin.utils.memory import keep_freed_memory
from deconas_plugin.utils.precision import autocast, resolve_precision


@MODEL_REGISTRY.register()
class DeCoNASModel(SRModel):
    """SRModel for derived networks; every option of SRModel means the same.

    Additional options:
        train.precision (str): 'float32', 'bf16' or 'fp16' of the training step. Default: bf16 where the processor
            computes it, else float32.
        train.channels_last (bool): Memory layout of network and images. Default: true.
        train.grad_clip (float): Largest gradient norm. Default: none.
        val.precision (str): As train.precision, for validation and testing. Default: float32.
        val.bicubic (bool): Log the metrics of bicubic upscaling too. Default: false.

    Args:
        opt (dict): BasicSR's options.

    Raises:
        OptionError: An option does not fit the device.
    """

    def __init__(self, opt):
        self.channels_last = opt.get('train', {}).get('channels_last', True)
        super().__init__(opt)
        if self.device.type == 'cpu':
            keep_freed_memory()
        self.val_precision = resolve_precision(
            self.opt['val'].get('precision', 'float32'), self.device, key='val.precision')

    def init_training_settings(self):
        train_opt = self.opt['train']
        num_feat = self.opt['network_g'].get('num_feat', 64)
        self.precision = resolve_precision(train_opt.get('precision'), self.device, num_feat)
        self.grad_clip = train_opt.get('grad_clip')
        # Only fp16 has too small a range for gradients; otherwise the scaler passes everything through.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == 'fp16')
        get_root_logger().info(f'Training in {self.precision}, channels_last: {self.channels_last}.')
        super().init_training_settings()

    def model_to_device(self, net):
        """Module: The network on the device, in the chosen memory layout."""
        return super().model_to_device(net.to(memory_format=self._memory_format))

    def get_optimizer(self, optim_type, params, lr, **kwargs):
        """Optimizer: Any of torch.optim, where BasicSR 1.4.2 knows Adam alone."""
        optimizer = getattr(torch.optim, optim_type, None)
        if optimizer is None:
            raise OptionError('train.optim_g.type: expected an optimizer of torch.optim such as Adam, '
                              f'got {optim_type!r}')
        return optimizer(params, lr, **kwargs)

    def feed_data(self, data):
        self.lq = self._to_device(data['lq'])
        if 'gt' in data:
            self.gt = self._to_device(data['gt'])

    def optimize_parameters(self, current_iter):
        self.optimizer_g.zero_grad(set_to_none=True)
        with autocast(self.precision, self.device):
            self.output = self.train_forward()
        losses = self.losses(self.output.float())
        self.scaler.scale(sum(losses.values())).backward()
        if self.grad_clip:
            self.scaler.unscale_(self.optimizer_g)
            torch.nn.utils.clip_grad_norm_(self.net_g.parameters(), self.grad_clip)
        self.scaler.step(self.optimizer_g)
        self.scaler.update()
        self.log_dict = self.reduce_loss_dict(losses)
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def train_forward(self):
        """Tensor: The network's output for ``self.lq``."""
        return self.net_g(self.lq)

    def losses(self, output):
        """OrderedDict[str, Tensor]: The losses that the options name, of an output like ``self.gt``."""
        losses = OrderedDict()
        if self.cri_pix:
            losses['l_pix'] = self.cri_pix(output, self.gt)
        if self.cri_perceptual:
            perceptual, style = self.cri_perceptual(output, self.gt)
            losses.update({k: v for k, v in (('l_percep', perceptual), ('l_style', style)) if v is not None})
        return losses

    @cached_property
    def inference_net(self):
        """Module: What tests run, fused where the network can be."""
        net = self.get_bare_model(self.net_g)
        return net.fuse().to(memory_format=self._memory_format) if hasattr(net, 'fuse') else net

    def test(self):
        net = self.net_g_ema if hasattr(self, 'net_g_ema') else self.net_g
        if not self.is_train:
            net = self.inference_net
        net.eval()
        with torch.no_grad(), autocast(self.val_precision, self.device):
            self.output = self.val_forward(net).float()
        self.net_g.train(self.is_train)

    def val_forward(self, net):
        """Tensor: The output of a network for ``self.lq``, in validation and testing."""
        return net(self.lq)

    def nondist_validation(self, dataloader, current_iter, tb_logger, save_img):
        super().nondist_validation(dataloader, current_iter, tb_logger, save_img)
        if self.opt['val'].get('bicubic') and self.opt['val'].get('metrics'):
            self._log_bicubic(dataloader)

    def _log_bicubic(self, dataloader):
        """Log what bicubic upscaling reaches on the same images with the same metrics."""
        metrics = dict.fromkeys(self.opt['val']['metrics'], 0)
        for data in dataloader:
            upscaled = imresize(data['lq'][0], self.opt['scale'])
            pair = {'img': tensor2img([upscaled]), 'img2': tensor2img([data['gt']])}
            for name, metric_opt in self.opt['val']['metrics'].items():
                metrics[name] += calculate_metric(pair, metric_opt) / len(dataloader)
        values = '\n'.join(f'\t # {name}: {value:.4f}' for name, value in metrics.items())
        get_root_logger().info(f'Bicubic {dataloader.dataset.opt["name"]}\n{values}\n')

    @property
    def _memory_format(self):
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def _to_device(self, images):
        return images.to(self.device, memory_format=self._memory_format, non_blocking=True)
