"""Networks of other papers, as the results table compares with them; each is registered in BasicSR's registry.

All take RGB in [0, 1], (N, 3, H, W), and give RGB, (N, 3, upscale * H, upscale * W). Their one argument is ``upscale``:
the sizes are those of the publications. What belongs to the training (loss, patches, schedule) is left to the options.
"""
from deconas_plugin.archs.compared.carn_arch import CARN
from deconas_plugin.archs.compared.falsr_arch import FALSR_A
from deconas_plugin.archs.compared.lapsrn_arch import LapSRN
from deconas_plugin.archs.compared.memnet_arch import MemNet
from deconas_plugin.archs.compared.srcnn_arch import SRCNN
from deconas_plugin.archs.compared.vdsr_arch import VDSR

# By the names that the paper's table gives them.
COMPARED = {'SRCNN': SRCNN, 'VDSR': VDSR, 'LapSRN': LapSRN, 'MemNet': MemNet, 'CARN': CARN, 'FALSR-A': FALSR_A}

__all__ = ['CARN', 'COMPARED', 'FALSR_A', 'LapSRN', 'MemNet', 'SRCNN', 'VDSR']
