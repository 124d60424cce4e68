"""Alpaca's REST API over the exchange, as an ASGI application."""
