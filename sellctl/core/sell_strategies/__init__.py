"""Strategies: which positions they manage, and by which rules. Pure."""
