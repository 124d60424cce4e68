"""Orders: the order book, their states and events, client order ids, and the quantities that they claim. Pure."""
