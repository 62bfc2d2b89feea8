"""``python -m deconas_plugin`` is ``deconas``."""
import sys

from deconas_plugin.commands import main
from deconas_plugin.files.paths import COMMAND

if __name__ == '__main__':
    sys.argv[0] = COMMAND  # by which hints call it
    raise SystemExit(main())
