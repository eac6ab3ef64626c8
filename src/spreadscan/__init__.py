"""spreadscan: the pure-Python scanner around the compiled library spreadcore."""

__version__ = "0.1.0"
