"""Helpers that belong to no single part: precision, options, files."""
