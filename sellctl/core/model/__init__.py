"""Immutable values that the whole program uses. No I/O and no clock; prices and quantities are Decimal."""
