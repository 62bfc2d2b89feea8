"""``deconas rank`` as a script; ``--help`` explains it."""
from deconas_plugin.commands import script

main = script('rank')

if __name__ == '__main__':
    raise SystemExit(main())
