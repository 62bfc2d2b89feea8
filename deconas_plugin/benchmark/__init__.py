"""The results table and the qualitative figure: measured on test sets, beside what papers report.

Networks are trained elsewhere; how fast the code is, is measured by ``tools/lab/speed``.
"""
