"""Which ports are reachable from the network."""
