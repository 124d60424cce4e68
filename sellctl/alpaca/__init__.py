"""The adapters for Alpaca, and the only package that imports alpaca-py. Its types and errors stay in here."""
