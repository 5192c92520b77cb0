"""The Registry: the one class through which runs are stored, claimed, measured and read."""

from dfgctl.registry.queue import Queue
from dfgctl.registry.shelf import Shelf


class Registry(Queue, Shelf):
    """A registry of runs, which is also their queue, and of source networks."""
