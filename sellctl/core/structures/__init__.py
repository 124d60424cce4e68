"""Which option legs cover each other or belong together. Pure."""
