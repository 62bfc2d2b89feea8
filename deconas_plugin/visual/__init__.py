"""What people look at: drawings of genotypes, the report of an experiment, live progress."""
