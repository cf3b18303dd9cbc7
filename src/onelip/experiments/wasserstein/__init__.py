"""Lower bounds of Wasserstein distances, from a configuration to a page."""
