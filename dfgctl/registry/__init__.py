"""The registry: every run, its attempts, measurements, results and provenance."""

from dfgctl.registry.store import Registry

__all__ = ["Registry"]
