"""The measurements of `make bench`: programs that are compared run in turns, and most bounds are on ratios."""
