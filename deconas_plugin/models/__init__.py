"""BasicSR models: training of derived networks, and the search."""
