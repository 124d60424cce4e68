"""Multi-leg orders: their legs are accepted, filled, cancelled and replaced together, at one net price."""
