"""Pure rules, one question each."""
