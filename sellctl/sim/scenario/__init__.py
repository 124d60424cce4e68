"""Scenarios in YAML: reading, events and expectations."""
