"""Measure how fast this machine trains, searches, upscales and loads data, against BasicSR's own ways."""
from deconas_plugin.commands.arguments import add_device, add_output, complete_weights, from_lab

PARTS = ('training', 'inference', 'supernet', 'controller', 'data', 'growth', 'schedule')
EXTRA_PARTS = ('auto', 'compile')
EXAMPLES = """examples:
  everything, in about five minutes:
    deconas speed
  two parts, with more rounds:
    deconas speed --only training inference --rounds 15
  whether --backend auto chooses well for a network:
    deconas speed --only auto --zoo DeCoNASNet_x2_24G

Every comparison runs its ways in turns, and its ratio is the median over the rounds, so that other work on the machine
meets all ways alike. Beside the times stands the rate of one convolution, measured on the same device in the same run:
the share of it that a network reaches says how far it is from the machine's limit.
  training    a step of BasicSR's SRModel and of DeCoNASModel, each with its defaults
  inference   the published x2 network on a 1280x720 output, in each precision and every backend; what fusing brings
  supernet    a step of the supernet and of the derived networks of 8 genotypes
  controller  sampling and bookkeeping of 32 genotypes at once and one by one; where a controller step spends its time
  data        patches of PairedImageDataset and DeCoNASPatchDataset, with the same workers
  growth      the step with other num_feat, num_block, num_layer, batch and patch size
  schedule    the hours of the paper's search, 200,000 weight steps and 19,500 controller steps
  auto        only when named, for minutes: --backend auto against the best backend, three sizes of the LR image
  compile     only when named, for minutes: a training step with train.compile, and the first one, which compiles
Exit code: 0 all well, 2 something cannot be used (the message says what).
"""


def add_arguments(parser):
    parser.add_argument('--only', nargs='+', metavar='PART', choices=PARTS + EXTRA_PARTS, default=PARTS,
                        help=f'some of {", ".join(PARTS + EXTRA_PARTS)} (default: all but auto and compile)')
    add_device(parser)
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='how often each way is timed, at least 3 '
                        '(default: %(default)s)')
    parser.add_argument('--zoo', nargs='+', metavar='NAME', help='networks of the model zoo for auto (default: '
                        'those that deconas upscale takes, one for each scale)').completer = complete_weights
    add_output(parser, 'files to write, without .md and .json (default: %(default)s)', default='results/speed')


def run(args):
    from deconas_plugin.doctor.workloads import quiet_logger
    from deconas_plugin.machine.device import choose_device

    quiet_logger()
    report = from_lab('speed.run').run_speed_benchmark(
        choose_device(args.device), args.output, args.only, args.rounds, args.zoo)
    print(from_lab('speed.results').to_markdown(report))
