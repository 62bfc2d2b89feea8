"""From checked options to a finished run: search, training and test, derivation, and a table of latencies.

Commands and the Python way call these with plain keywords; nothing here reads a command line.
"""
