"""What is remembered of positions and prices: episodes, peaks, our own fills, quotes."""
