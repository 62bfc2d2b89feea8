"""What a process on a CPU keeps of the memory that tensors freed."""
import sys

import pytest
from fresh_fixture import output_of

MEBIBYTE = 2**20
SCRIPT = """
import torch
from deconas_plugin.machine.device import keep_freed_memory

def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096

if {keep}:
    keep_freed_memory(torch.device('cpu'))
before = resident()
tensor = torch.ones(64 * 2**20 // 4)
del tensor
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc only')
@pytest.mark.parametrize('keep', [False, True])
def test_freed_memory_stays_with_the_process_if_asked_for(keep):
    assert (int(output_of(SCRIPT.format(keep=keep))) > 48 * MEBIBYTE) == keep
