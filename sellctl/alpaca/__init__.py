"""The only place that imports alpaca-py; foreign types and errors end here."""
