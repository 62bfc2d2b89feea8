"""BasicSR models: training of derived networks, and the search.

Files that end in ``_model.py`` register what they hold in BasicSR, whose loop calls them; the loop is in ``training``.
"""
