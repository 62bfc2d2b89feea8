"""List, explain or verify the trained networks that come with the plugin."""
import sys

from deconas_plugin.commands.arguments import complete_weights

HAS_COMMANDS = True
EXAMPLES = """examples:
  what there is, best first:
    deconas zoo list
  all that is known of one, and where its file is:
    deconas zoo show DeCoNASNet_x2_24G
  whether the files are those that were measured:
    deconas zoo verify

Exit code of verify: 0 all hold, 1 some do not (the line says what).
"""


def add_arguments(parser):
    actions = parser.add_subparsers(dest='action', metavar='list | show | verify', required=True)
    actions.add_parser('list', help='name, scale, cost and PSNR of every network')
    show = actions.add_parser('show', help='all about one')
    show.add_argument('name', metavar='NAME', help='as listed').completer = complete_weights
    verify = actions.add_parser('verify', help='compare the files with the list')
    verify.add_argument('names', nargs='*', metavar='NAME', help='(default: all)').completer = complete_weights


def run(args):
    from deconas_plugin.files.zoo import load_zoo
    return {'list': _list, 'show': _show, 'verify': _verify}[args.action](load_zoo(), args)


def _list(zoo, _):
    rows = [('name', 'scale', 'params', 'Mult-Adds @720p', 'PSNR')]
    for entry in sorted(zoo.entries.values(), key=lambda entry: (entry.scale, -entry.mean_psnr)):
        psnr = ', '.join(f'{name} {psnr:.2f}' for name, (psnr, _) in entry.metrics.items())
        rows.append((entry.name, f'x{entry.scale}', f'{entry.params:,}', f'{entry.mult_adds / 1e9:.1f} G', psnr))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, scale, params, mult_adds, psnr in rows:
        print(f'{name:{widths[0]}}  {scale:{widths[1]}}  {params:>{widths[2]}}  {mult_adds:>{widths[3]}}  {psnr}')


def _show(zoo, args):
    path = zoo.weights(args.name)
    facts = {**vars(zoo.entries[args.name]), 'file': path}
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f'{key:{width}}  {value}')


def _verify(zoo, args):
    from deconas_plugin.errors import WeightsError
    failed = 0
    for name in args.names or zoo.entries:
        try:
            _check(zoo, name)
            print(f'ok  {name}')
        except WeightsError as error:
            failed += 1
            print(f'error: {error}', file=sys.stderr)
    return 1 if failed else 0


def _check(zoo, name):
    """Load a network and compare it with what is said of it.

    Raises:
        WeightsError: Its file is not the one that was measured, or another network.
    """
    from deconas_plugin.archs.load import load_network
    from deconas_plugin.cost.count import ComplexityCounter
    from deconas_plugin.errors import WeightsError
    path, entry = zoo.weights(name), zoo.entries[name]
    net = load_network(path)
    cost = ComplexityCounter.of(net).count(net.genotype)
    found = {'scale': net.upscale, 'genotype': str(net.genotype), 'num_feat': net.num_feat, 'params': cost.params,
             'mult_adds': cost.mult_adds}
    for key, value in found.items():
        if value != getattr(entry, key):
            raise WeightsError(f'{path}: expected {key} {getattr(entry, key)} of {name}, found {value}; install the '
                               'plugin again')
