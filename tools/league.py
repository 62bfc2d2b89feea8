"""``deconas league`` as a script; ``--help`` explains it."""
from deconas_plugin.commands import script

main = script('league')

if __name__ == '__main__':
    raise SystemExit(main())
