"""The Python way: what the commands do, as functions that take options as a dict or a file and return objects.

All of it is at the top of the package, ``deconas_plugin.search`` and so on; docs/python.md shows it. Nothing below this
room knows of it.
"""
