"""Print what teaches a shell to complete commands, options, option files and networks."""
import sys

EXAMPLES = """examples:
  for this shell, or in ~/.bashrc or ~/.zshrc for all:
    eval "$(deconas completion bash)"
    eval "$(deconas completion zsh)"
  fish:
    deconas completion fish | source
"""


def add_arguments(parser):
    parser.add_argument('shell', choices=('bash', 'zsh', 'fish', 'tcsh', 'powershell'))


def run(args):
    import argcomplete

    from deconas_plugin.files.paths import COMMAND
    sys.stdout.write(argcomplete.shellcode([COMMAND], shell=args.shell))
