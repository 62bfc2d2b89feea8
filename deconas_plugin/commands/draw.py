"""Draw a genotype: its block and its network as a figure."""
from pathlib import Path

from deconas_plugin.commands.arguments import add_output

EXAMPLES = """examples:
  the published network, as genotype.svg:
    deconas draw DeCoNASNet_x2
  what a search derived, as PNG for a slide or PDF for a paper:
    deconas draw experiments/search_x2/derived/genotype.yml -o genotype.png --dpi 300
    deconas draw experiments/search_x2/derived/genotype.yml -o genotype.pdf
  the network that weights belong to:
    deconas draw experiments/train_x2/models/net_g_latest.pth
  bits of a space with other sizes than the paper's:
    deconas draw 111 110100 --num_layer 2 --num_block 3

Exit code: 0 drawn, 2 the genotype or the output is not as expected (the message says why).
"""


def add_arguments(parser):
    parser.add_argument('genotype', nargs='+', metavar='GENOTYPE', help='bits, the name of a published genotype or '
                        'of a network in the model zoo, a genotype.yml, or the weights (.pth, .safetensors) of a '
                        'derived network')
    add_output(parser, 'file that ends in .svg, .png or .pdf (default: genotype.svg)', default='genotype.svg')
    parser.add_argument('--dpi', type=int, default=200, help='pixels per inch of a PNG (default: %(default)s)')
    parser.add_argument('--num_block', '--num-block', type=int, help='blocks, for bits (default: as they say, or 4)')
    parser.add_argument('--num_layer', '--num-layer', type=int, help='layers in a block, for bits (default: as they '
                        'say, or 4)')
    parser.add_argument('--operations', nargs='+', metavar='NAME', help="candidate operations, for bits (default: the "
                        "paper's)")


def read_genotype(args):
    """The genotype that the arguments mean, wherever it stands, and what else its weights tell of the network."""
    from deconas_plugin.files.zoo import load_zoo
    from deconas_plugin.space.genotype import Genotype
    from deconas_plugin.space.text import read_text
    text = ' '.join(args.genotype)
    suffix = Path(text).suffix
    if suffix in ('.pth', '.safetensors') or text in load_zoo().entries:
        from deconas_plugin.archs.load import load_network
        net = load_network(text)
        return net.genotype, {'tail': net.tail_kind, 'residual': net.residual}
    if suffix in ('.yml', '.yaml'):
        return Genotype.load(text), {}
    words, _ = read_text(text)
    sizes = {key: getattr(args, key) or words.get(key, 4) for key in ('num_block', 'num_layer')}
    return Genotype.parse(text, **sizes, operations=args.operations), {}


def run(args):
    from deconas_plugin.visual.draw import draw_genotype
    from deconas_plugin.visual.theme import save
    genotype, network = read_genotype(args)
    save(draw_genotype(genotype, **network), args.output, args.dpi)
    print(args.output)
