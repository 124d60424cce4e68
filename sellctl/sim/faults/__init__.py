"""How the simulated broker misbehaves, by name."""
