"""Upscaling the images of a user: files in, files out."""
