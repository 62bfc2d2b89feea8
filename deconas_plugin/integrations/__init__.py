"""DeCoNASNet in other projects' tools. Nothing here is imported unless asked for."""
