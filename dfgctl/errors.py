"""The error tree. A message is one sentence (or two) that ends in what to type next.

::

    DfgctlError                 exit code 1
    ├── InputError              exit code 2: what was asked for cannot be
    │   ├── UnknownNameError    a name that is not known, with the nearest one
    │   ├── SettingError        a setting's key, type or range
    │   ├── DataMissingError    files of a data set are not there
    │   ├── DataCorruptError    a file of a data set is broken
    │   ├── RegistryError       not a registry, newer than the program, not writable
    │   └── NothingToShowError  no run that a table or figure could be made from
    ├── RegistryUnavailableError  the registry cannot be read or written just now
    ├── LeaseLostError          a writer whose lease has passed to another
    ├── SourceBusyError         another process is pre-training the source network
    ├── StoppedError            exit code 130: a worker was asked to stop, and did
    ├── TrialFailedError    a trial of a search failed, and the search with it
    ├── WorkersFailedError      no worker process is left to train what is queued
    ├── PartsFailedError        parts of a page could not be made
    └── RunsFailedError         at least one run of a plan failed
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DfgctlError(Exception):
    """Anything that dfgctl reports as one sentence instead of a traceback."""

    exit_code = 1


class InputError(DfgctlError):
    """What was asked for cannot be."""

    exit_code = 2


class UnknownNameError(InputError):
    """A name that is not known; the message offers the nearest one and all that are."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        self.nearest = nearest(name, known)
        names = ", ".join(sorted(known))
        hint = f"did you mean '{self.nearest}'? " if self.nearest else ""
        if "," in name and all(part.strip() in known for part in name.split(",")):
            hint = f"name one {kind} at a time. "
        super().__init__(f"Unknown {kind} '{name}': {hint}There is: {names}.")


class SettingError(InputError):
    """A setting with an unknown key, a value of the wrong type, or one out of range."""


class DataMissingError(InputError):
    """Files of a data set are not where they are looked for, and cannot be downloaded."""


class DataCorruptError(InputError):
    """A file of a data set is broken; nothing is trained on it."""


class RegistryError(InputError):
    """The registry cannot be opened, or not by this version."""


class NothingToShowError(InputError):
    """No finished run that a table or figure could be made from."""


class RegistryUnavailableError(DfgctlError):
    """The registry cannot be read or written just now: locked, disk full, server away."""


class LeaseLostError(DfgctlError):
    """A writer came back after its lease had passed to another; what it wrote was refused."""


class SourceBusyError(DfgctlError):
    """Another process holds the lease on a source network."""


class StoppedError(DfgctlError):
    """A worker was asked to stop, and has put its runs back into the queue.

    Args:
        message: what became of its runs, and how to go on.
        reason: ``interrupted`` or ``preempted``.
    """

    exit_code = 130

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TrialFailedError(DfgctlError):
    """A trial of a search failed for another reason than its settings."""


class WorkersFailedError(DfgctlError):
    """No worker process is left to train what is queued."""


class PartsFailedError(DfgctlError):
    """Parts of a page could not be made, for another reason than that runs are lacking."""


class RunsFailedError(DfgctlError):
    """At least one run of a plan failed."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like ``name``, or None when none is near."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def first_line(text: str, nothing: str = "no word") -> str:
    """Return the first line of what an error or a program says; ``nothing`` where it says none."""
    return (text.strip().splitlines() or [nothing])[0].strip()


def last_line(text: str, nothing: str = "no word") -> str:
    """Return the last line of what an error or a program says; ``nothing`` where it says none."""
    return (text.strip().splitlines() or [nothing])[-1].strip()
