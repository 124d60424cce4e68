"""What is traded and at what price: assets, sessions, price paths, quotes."""
