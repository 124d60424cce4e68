"""A simulated Alpaca: an exchange in memory, in process and behind Alpaca's own HTTP and WebSocket protocols."""
