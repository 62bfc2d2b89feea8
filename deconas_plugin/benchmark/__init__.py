"""The results table and the qualitative figure: measured on test sets, beside what the paper reports."""
