"""Check, within two minutes, that training works on this machine, and that an option file holds."""
from deconas_plugin.commands.arguments import add_device, add_option_file, add_output

EXAMPLES = """examples:
  the GPU, where there is one, else the CPU:
    deconas doctor
  what a machine was found to do, as a file:
    deconas doctor --device cuda --output results/doctor.json
  an option file and its data as well, before a long run:
    deconas doctor -opt search_x2
    deconas doctor -opt league_x2_25G

Checked are: the forward pass and training steps in each precision against float32 on the CPU, compiled steps, other
backends of upscaling, two processes, patches cut on the device, a run that is interrupted, states exchanged with the
CPU, and the time limit; of an option file all that a run checks before it starts, and every image of its datasets'
databases. Then for instance
  deconas train -opt train_DeCoNASNet_x2_24G --auto_resume --force_yml train.max_minutes=6
trains for six minutes from the newest state.
Exit code: 0 all that is possible here holds, 1 something does not, 2 there is no such device.
"""


def add_arguments(parser):
    add_option_file(parser, 'option file (YAML) to check', required=False)
    add_device(parser)
    add_output(parser, 'JSON file to write')


def run(args):
    from deconas_plugin.doctor.examine import run_doctor
    return run_doctor(args.device, args.output, args.opt)
