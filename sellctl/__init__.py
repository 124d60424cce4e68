"""sellctl: the exit manager for Alpaca accounts. Only the version lives here, so that importing costs nothing."""

__version__ = "0.1.0"
