"""State of positions and prices between polls: episodes, peaks, our own fills, quotes."""
