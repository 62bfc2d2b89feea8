"""Trained networks in the formats of other tools, public weights of other networks, and spandrel.

Nothing here is imported unless asked for.
"""
