"""Strategies of a user's own: loading their code, and running it in a process of its own. It does I/O."""
