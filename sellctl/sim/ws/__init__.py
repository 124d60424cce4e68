"""Alpaca's streams over the exchange."""
