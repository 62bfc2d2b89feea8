"""How fast everything is on this machine: A against B in turns, beside what the machine can do at most."""
