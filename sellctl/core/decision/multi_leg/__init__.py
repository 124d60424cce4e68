"""The exit of a structure as one multi-leg order: when it leaves that way, its net prices, and its next step. Pure."""
