"""What is on disk: option files, weights, experiment folders, the zoo, paths, pieces of results; and how it is written.

Whatever happens, a file is the old one or the whole new one. What images mean is said in ``data``, what options mean in
``options``.
"""
