"""BasicSR's SRModel with what today's hardware offers: reduced precision, channels_last, gradient clipping."""
import math
from collections import OrderedDict
from copy import deepcopy
from functools import cached_property
from pathlib import Path

import torch
from basicsr.losses import build_loss
from basicsr.metrics import calculate_metric
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger, tensor2img
from basicsr.utils.matlab_functions import imresize
from basicsr.utils.registry import MODEL_REGISTRY

from deconas_plugin.errors import OptionError
from deconas_plugin.machine.device import autocast, keep_freed_memory, resolve_precision, widths_that_bf16_minds
from deconas_plugin.models.checkpointing import CheckpointMixin, ShardedValidationMixin
from deconas_plugin.training.loss_guard import LossGuard
from deconas_plugin.training.processes import average_gradients, mean, share_module
from deconas_plugin.training.schedules import WarmupCosineLR, ema_decay_at
from deconas_plugin.visual.samples import add_sample, make_sample

# What the sections train and val leave out, where BasicSR's own pipeline runs the model and nobody has filled it in.
TRAIN_DEFAULTS = {'channels_last': True, 'compile': False, 'ema_warmup': True, 'frequency_share': 1, 'max_skips': 20,
                  'warmup_iter': -1}
VAL_DEFAULTS = {'bicubic': False, 'precision': 'float32'}


@MODEL_REGISTRY.register()
class DeCoNASModel(CheckpointMixin, ShardedValidationMixin, SRModel):
    """SRModel for derived networks; every option of SRModel means the same.

    Args:
        opt (dict): BasicSR's options, with more keys in ``train`` and ``val``, such as ``precision``; see
            options/README.md.

    Raises:
        OptionError: An option does not fit the device.
    """

    def __init__(self, opt):
        self.channels_last = {**TRAIN_DEFAULTS, **opt.get('train', {})}['channels_last']
        super().__init__(opt)
        keep_freed_memory(self.device)
        self.val_opt = {**VAL_DEFAULTS, **(self.opt.get('val') or {})}
        self.val_precision = resolve_precision(self.val_opt['precision'], self.device, key='val.precision')

    def init_training_settings(self):
        train_opt = self.opt['train'] = {**TRAIN_DEFAULTS, **self.opt['train']}
        given = deepcopy(train_opt)
        # Of the network that was built: pretrained weights say what the options leave out.
        widths = widths_that_bf16_minds(self.get_bare_model(self.net_g))
        self.precision = resolve_precision(train_opt.get('precision'), self.device, widths)
        grad_clip = train_opt.get('grad_clip')
        self.grad_clip = math.inf if grad_clip is None else grad_clip
        self.guard = LossGuard(train_opt.get('skip_loss_over'), train_opt['max_skips'])
        # Only fp16 has too small a range for gradients; otherwise the scaler passes everything through.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == 'fp16')
        get_root_logger().info(f'Training in {self.precision}, channels_last: {self.channels_last}.')
        super().init_training_settings()
        frequency_opt = train_opt.get('frequency_opt')
        self.cri_frequency = build_loss(frequency_opt).to(self.device) if frequency_opt else None
        self.frequency_from = train_opt['total_iter'] * (1 - train_opt['frequency_share'])
        if self.ema_decay > 0:
            # Validated and shipped, so it shall run as the other does.
            self.net_g_ema.to(memory_format=self._memory_format)
        self.compiled = train_opt['compile']
        # A GPU waits for the launches of a small network's kernels, unless a CUDA graph replays them all at once. Sizes
        # change once in a training at most, so that each has a network of its own.
        self.train_net = torch.compile(self.net_g, dynamic=False, mode='reduce-overhead' if self._on_gpu else None) \
            if self.compiled else self.net_g
        # BasicSR takes the types out of the options it builds from.
        self.opt['train'] = given

    def model_to_device(self, net):
        """Module: The network on the device, in the chosen memory layout, the same in all processes."""
        net = net.to(memory_format=self._memory_format)
        if not self.opt['dist']:
            return super().model_to_device(net)
        share_module(net)
        # No DistributedDataParallel: it would halve the gradient of a weight that one of two processes used.
        return net.to(self.device)

    def get_optimizer(self, optim_type, params, lr, **kwargs):
        """Optimizer: Any of torch.optim, where BasicSR 1.4.2 knows Adam alone."""
        optimizer = getattr(torch.optim, optim_type, None)
        if optimizer is None:
            raise OptionError('train.optim_g.type: expected an optimizer of torch.optim such as Adam, '
                              f'got {optim_type!r}')
        return optimizer(params, lr, **kwargs)

    def setup_schedulers(self):
        scheduler = self.opt['train']['scheduler']
        if not self.opt['train']['total_iter']:
            return  # a search without shared weights takes no step
        if scheduler['type'] != 'WarmupCosineLR':
            super().setup_schedulers()
            return
        keywords = {key: value for key, value in scheduler.items() if key != 'type'}
        for optimizer in self.optimizers:
            self.schedulers.append(WarmupCosineLR(
                optimizer, self.opt['train']['total_iter'], self.opt['train']['warmup_iter'], **keywords))

    def feed_data(self, data):
        self.lq = self._to_device(data['lq'])
        if 'gt' in data:
            self.gt = self._to_device(data['gt'])

    def optimize_parameters(self, current_iter):
        self.current_iter = current_iter
        self.optimizer_g.zero_grad(set_to_none=True)
        with autocast(self.precision, self.device):
            self.output = self.train_forward()
        losses = self.losses(self.output.float(), current_iter)
        total = sum(losses.values())
        self.scaler.scale(total).backward()
        average_gradients(self.net_g.parameters())
        self.scaler.unscale_(self.optimizer_g)
        norm = torch.nn.utils.clip_grad_norm_(self.net_g.parameters(), self.grad_clip)
        self.log_dict = self.reduce_loss_dict(losses)
        if self._may_step(current_iter, total.detach(), norm):
            self.scaler.step(self.optimizer_g)
            if self.ema_decay > 0:
                warmup = self.opt['train']['ema_warmup']
                self.model_ema(ema_decay_at(self.ema_decay, current_iter) if warmup else self.ema_decay)
        self.scaler.update()
        if self.guard.skipped:
            self.log_dict['skipped'] = self.guard.skipped

    def _may_step(self, current_iter, loss, norm):
        """bool: The same in all processes."""
        loss, norm = torch.stack([loss.float(), norm.float()]).tolist()
        # The scaler of fp16 meets infinite gradients as a matter of course, and skips them itself.
        return self.guard.allows(current_iter, *mean([loss]), 0.0 if self.scaler.is_enabled() else norm)

    @torch.no_grad()
    def model_ema(self, decay=0.999):
        """Move the averaged weights towards those of the network; buffers, which BasicSR leaves, are taken over."""
        net, average = self.get_bare_model(self.net_g), self.net_g_ema
        weights = [parameter.detach() for parameter in average.parameters()]
        torch._foreach_mul_(weights, decay)
        torch._foreach_add_(weights, [parameter.detach() for parameter in net.parameters()], alpha=1 - decay)
        for own, new in zip(average.buffers(), net.buffers(), strict=True):
            own.copy_(new)

    def train_forward(self):
        """Tensor: The network's output for ``self.lq``."""
        if self.compiled and self._on_gpu:
            torch.compiler.cudagraph_mark_step_begin()
        return self.train_net(self.lq)

    def losses(self, output, current_iter):
        """OrderedDict[str, Tensor]: The losses that the options name, of an output like ``self.gt``."""
        losses = OrderedDict()
        if self.cri_pix:
            losses['l_pix'] = self.cri_pix(output, self.gt)
        if self.cri_frequency and current_iter > self.frequency_from:
            losses['l_freq'] = self.cri_frequency(output, self.gt)
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

    def validation(self, dataloader, current_iter, tb_logger, save_img=False):
        """Validate; keep ``net_g_best.pth``, the best by the first metric on the first validation set."""
        super().validation(dataloader, current_iter, tb_logger, save_img)
        best = getattr(self, 'best_metric_results', {})
        if self.is_train and dataloader.dataset.opt['name'] == next(iter(best), None):
            first_metric = next(iter(best[dataloader.dataset.opt['name']].values()))
            if first_metric['iter'] == current_iter:
                self.save_networks('best')

    def nondist_validation(self, dataloader, current_iter, tb_logger, save_img):
        super().nondist_validation(dataloader, current_iter, tb_logger, save_img)
        if self.val_opt['bicubic'] and self.val_opt.get('metrics'):
            self._log_bicubic(dataloader)
        if tb_logger:
            self._log_sample(dataloader.dataset[0], current_iter, tb_logger)

    def _log_sample(self, data, current_iter, tb_logger):
        """Show in TensorBoard what the network makes of a detail of an image."""
        def upscale(lq):
            self.lq = self._to_device(lq)
            self.test()
            return self.output.cpu()

        if 'gt' not in data:
            return
        name = Path(data['lq_path']).stem
        add_sample(tb_logger, make_sample(upscale, name, data['lq'], data['gt'], self.opt['scale']), current_iter)

    def _log_bicubic(self, dataloader):
        """Log what bicubic upscaling reaches on the same images with the same metrics."""
        metrics = dict.fromkeys(self.opt['val']['metrics'], 0)
        for data in dataloader:
            upscaled = imresize(data['lq'][0], self.opt['scale'])
            pair = {'img': tensor2img([upscaled]), 'img2': tensor2img([data['gt']])}
            for name, metric_opt in self.opt['val']['metrics'].items():
                metrics[name] += calculate_metric(pair, metric_opt) / len(dataloader)
        values = '\n'.join(f'\t # {name}: {self.mean_over_images(value):.4f}' for name, value in metrics.items())
        get_root_logger().info(f'Bicubic {dataloader.dataset.opt["name"]}\n{values}\n')

    @property
    def _on_gpu(self):
        return self.device.type == 'cuda'

    @property
    def _memory_format(self):
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def _to_device(self, images):
        return images.to(self.device, memory_format=self._memory_format, non_blocking=True)
