"""The simulated exchange: accounts, orders, matching, the trading session. No sockets."""
