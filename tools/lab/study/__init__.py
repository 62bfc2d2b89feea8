"""Does the search earn its keep? Strategies against each other, and shared weights against training alone."""
