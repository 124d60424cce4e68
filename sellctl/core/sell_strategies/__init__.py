"""Pure strategies: ordered sets of rules."""
