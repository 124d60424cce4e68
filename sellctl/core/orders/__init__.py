"""Pure: the order book, what happens to an order, client order ids, and what open orders hold of a position."""
