"""The command line that search, train and test share, and BasicSR's own scripts too."""
import argparse


def training_parser(description, examples):
    """argparse.ArgumentParser: For a tool that runs one of BasicSR's pipelines."""
    parser = argparse.ArgumentParser(
        description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='job launcher')
    parser.add_argument('--auto_resume', action='store_true', help='continue from the newest training state')
    parser.add_argument('--debug', action='store_true', help="BasicSR's debug mode: log and save often")
    parser.add_argument('--force_yml', nargs='+', metavar='KEY=VALUE',
                        help='change options; section:key=value, the value as in YAML')
    # torch.distributed.launch passes it in either spelling; torchrun sets LOCAL_RANK instead.
    parser.add_argument('--local-rank', '--local_rank', type=int, metavar='N', help=argparse.SUPPRESS)
    return parser
