"""The Registry: the one class through which runs are stored, claimed, measured and read."""

from dfgctl.registry.care import Care
from dfgctl.registry.intake import Intake
from dfgctl.registry.janitor import Janitor
from dfgctl.registry.profiles import Profiles
from dfgctl.registry.queue import Queue
from dfgctl.registry.roster import Roster
from dfgctl.registry.shelf import Shelf
from dfgctl.registry.transfer import Transfer


class Registry(Intake, Queue, Shelf, Roster, Profiles, Transfer, Care, Janitor):
    """A registry of runs, which is also their queue, of source networks, workers, and profiles."""
