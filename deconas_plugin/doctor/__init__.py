"""Does everything work on this machine: what it has, and small proofs of what a run promises.

How fast it is, is measured by ``tools/lab/speed``.
"""
