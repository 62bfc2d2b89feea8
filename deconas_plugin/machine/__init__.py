"""The machine that everything runs on: its devices, its cores, its clock, and the console.

Nothing here knows of networks, searches or options.
"""
