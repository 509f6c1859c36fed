"""Observes the calls of a server for somebody else: Prometheus and OpenTelemetry."""
