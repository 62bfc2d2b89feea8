"""Convert weights of the reference implementation (TensorFlow 1) to a DeCoNASNet."""
from deconas_plugin.commands.arguments import from_lab

EXAMPLES = """examples:
  from a checkpoint, by its name without ending; tensorflow has to be installed:
    deconas convert-tf outputs/x2/model.ckpt-931000 DeCoNASNet_x2_reference.pth
  from arrays keyed by variable name, saved by numpy.savez where tensorflow is installed:
    deconas convert-tf variables.npz DeCoNASNet_x2_reference.pth
  of a genotype of your own, as it was given to the training:
    deconas convert-tf variables.npz net.pth --genotype "111 110100 011000010 010011100001"
"""


def add_arguments(parser):
    parser.add_argument('source', metavar='SOURCE', help='checkpoint without ending, or .npz')
    parser.add_argument('target', metavar='TARGET', help='.pth or .safetensors')
    parser.add_argument('--genotype', metavar='BITS',
                        help='needed where the variables leave several: they tell how many features an operation '
                        'reads, not which (default: the only one that fits, or the published one if it fits)')


def run(args):
    print(from_lab('tf_reference.network').convert_reference(args.source, args.target, args.genotype))
