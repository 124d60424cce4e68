"""Traces and metrics by OpenTelemetry (extra `telemetry`), from what passes the core's ports: docs/telemetry.md."""
