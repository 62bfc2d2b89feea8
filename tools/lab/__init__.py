"""What measures the project itself, in a checkout only: speed, studies of searches, the TensorFlow reference."""
