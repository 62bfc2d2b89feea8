"""List the option files that come with the plugin, copy one to change it, or explain a key."""
import re
from pathlib import Path

from deconas_plugin.files import paths

HAS_COMMANDS = True
EXAMPLES = """examples:
  what there is:
    deconas options list
  one of them, into this folder or into another:
    deconas options copy search_x2
    deconas options copy train_DeCoNASNet_x2 my_options
  what a key does, wherever it may stand:
    deconas options explain warmup_iter

Every -opt takes these names too, from any folder, so that a file is copied only to be changed. The file that is written
names its schema: editors that know YAML complete and explain its keys. options/README.md explains all of them.
"""


def add_arguments(parser):
    actions = parser.add_subparsers(dest='action', metavar='list | copy | explain', required=True)
    actions.add_parser('list', help='name and purpose of every option file')
    copy = actions.add_parser('copy', help='copy one')
    copy.add_argument('name', metavar='NAME', help='as listed').completer = lambda **_: paths.shipped_option_files()
    copy.add_argument('folder', nargs='?', default='.', metavar='DIR', help='where to (default: here)')
    explain = actions.add_parser('explain', help='kind, default and meaning of a key')
    explain.add_argument('key', metavar='KEY', help='such as warmup_iter or search.warmup_iter')


def run(args):
    shipped = paths.shipped_option_files()
    if args.action == 'explain':
        return _explain(args.key)
    if args.action == 'list':
        width = max(map(len, shipped))
        for name, path in sorted(shipped.items()):
            print(f'{name:{width}}  {_purpose(path.read_text(encoding="utf-8"))}')
        return
    from deconas_plugin.errors import OptionError
    name = args.name.removesuffix('.yml')
    if name not in shipped:
        from deconas_plugin.options.schema import nearest
        raise OptionError(f'no option file of this name comes with the plugin: {args.name}{nearest(name, shipped)}')
    target = Path(args.folder, f'{name}.yml')
    if target.exists():
        raise OptionError(f'{target}: is there already and stays as it is; choose another DIR, or remove it first')
    _copy(name, shipped[name], target)
    print(f'{paths.shown(target)}\nNext: {paths.tool_command(name.split("_")[0])} -opt {paths.typed(target)}')


def _explain(key):
    """Print the rows of the page of all keys that are about one."""
    from deconas_plugin.errors import OptionError
    from deconas_plugin.options.schema import nearest
    section, _, name = key.rpartition('.')
    title, heading, known, found = '', (), set(), False
    for line in paths.option_file_page().read_text(encoding='utf-8').splitlines():
        cells = [cell.strip().replace('\\|', '|').replace('`', '') for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
        if line.startswith('## '):
            title, heading = line.removeprefix('## ').replace('`', ''), ()
        elif cells and not heading:
            heading = cells
        elif cells and set(cells[0]) != {'-'}:
            known.add(cells[0])
            if cells[0] == name and section in title:
                found = True
                print(f'{title}: {name}')
                print(''.join(f'  {what}: {cell}\n' for what, cell in zip(heading[1:], cells[1:], strict=True) if cell))
    if not found:
        raise OptionError(f'no option file has the key {key}{nearest(name, known)}')


def _purpose(text):
    """str: The first sentence of an option file."""
    lines = [line.removeprefix('# ') for line in text.splitlines() if not line.startswith('# yaml-language-server')]
    return re.split(r'[.:;] |[.:;]?$', lines[0], maxsplit=1)[0]


def _copy(name, source, target):
    from deconas_plugin.files.atomic import save_text
    text = source.read_text(encoding='utf-8')
    text = text.replace('$schema=options.schema.json', f'$schema={paths.option_file_schema().resolve().as_uri()}')
    # The commands in its comments shall be those of the user, and run the copy.
    text = re.sub(r'python tools/(\w+)\.py', lambda found: paths.tool_command(found[1].replace('_', '-')), text)
    text = re.sub(rf'-opt (options/)?{name}(\.yml)?\b', lambda _: f'-opt {paths.typed(target)}', text)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_text(text, target)
