"""Neural networks whose Lipschitz constant is known, and proved from the stored weights."""

__version__ = "0.1.0"
