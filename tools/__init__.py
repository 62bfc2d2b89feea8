"""The command line tools, installed as the package ``deconas_tools`` for the console scripts."""
