"""Pure: our orders from the written intent to their end."""
