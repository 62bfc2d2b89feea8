"""Running a trained network: in PyTorch or another runtime, on whole images or in tiles."""
