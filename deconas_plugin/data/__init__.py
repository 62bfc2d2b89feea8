"""Data: preparation of databases, and the datasets that read them."""
