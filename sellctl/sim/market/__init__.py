"""The market: assets, sessions, price paths and quotes."""
