"""The configuration: its schema, how it is read and validated, and what is generated from it."""
