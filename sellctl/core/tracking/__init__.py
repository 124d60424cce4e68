"""What the shell remembers: position episodes, fills, quotes, order rates."""
