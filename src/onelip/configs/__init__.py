"""The configurations that `onelip train NAME` runs by name."""
