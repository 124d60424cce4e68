"""Pure: which option legs cover or belong to each other."""
