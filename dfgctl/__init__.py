"""dfgctl reproduces discriminative feature generation (DFG) and keeps every run in a registry."""

__version__ = "0.1.0"

RESULTS_VERSION = 2
"""Part of every run's identity; raised when a change of the code alters results."""
