"""The registry: every run, its attempts, measurements, results and provenance."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfgctl.registry.store import Registry

__all__ = ["Registry"]


def __getattr__(name: str) -> Any:
    """Import the Registry when it is asked for: SQLAlchemy takes longer than a completion may."""
    if name == "Registry":
        from dfgctl.registry.store import Registry

        return Registry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
