"""Image files: the one reader and the one writer of the package."""
