"""Checkpoints: files from which a run in training goes on."""

import contextlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dfgctl.networks.weights import write
from dfgctl.state import Saved

FORMAT = "dfgctl checkpoint 1"
"""Names the way in which a checkpoint is written."""

GENERATIONS = 2
"""Checkpoints of a run that are kept, so that a damaged one is no loss of all."""

_NAME = re.compile(r"\d{8,}\.safetensors", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """A run's state as it was read, and the attempt that wrote it."""

    attempt: int
    saved: Saved


class Checkpoints:
    """The checkpoints in a folder, ``RUN_ID/00000200.safetensors`` for step 200.

    Tensors are written as safetensors and all else as JSON in the file's metadata, so that reading
    one runs no code.

    Args:
        folder: the folder; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, run_id: str, attempt: int, saved: Saved) -> None:
        """Write a checkpoint, beside those that there are.

        Raises:
            OSError: it cannot be written; those that there are stay.
        """
        metadata = {
            "format": FORMAT,
            "run": run_id,
            "attempt": str(attempt),
            "step": str(saved.step),
            "content": json.dumps(saved.content, allow_nan=False),
        }
        write(self._path(run_id, saved.step), saved.tensors, metadata, durable=True)

    def prune(self, run_id: str, step: int) -> None:
        """Remove checkpoints before the newest of a step, which is good, and the one before it.

        Later ones may be there if the run went back; they stay until it is past them.
        """
        for older in [s for s in self.steps(run_id) if s <= step][:-GENERATIONS]:
            self.remove(run_id, older)

    def remove(self, run_id: str, step: int) -> None:
        """Remove a checkpoint, if it is there."""
        with contextlib.suppress(OSError):
            self._path(run_id, step).unlink()

    def steps(self, run_id: str) -> list[int]:
        """Return the steps of a run's checkpoints, ascending, by their names alone."""
        try:
            names = [path.name for path in (self.folder / run_id).iterdir()]
        except OSError:
            return []
        return sorted(int(name.partition(".")[0]) for name in names if _NAME.fullmatch(name))

    def read(self, run_id: str, step: int) -> Checkpoint | None:
        """Read a checkpoint; None if it is missing, damaged, another run's or of another format."""
        try:
            with safe_open(self._path(run_id, step), "pt") as file:
                found = file.metadata() or {}
                if (found["format"], found["run"], int(found["step"])) != (FORMAT, run_id, step):
                    return None
                # Copies: what is read is a view of the file.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            content = json.loads(found["content"])
            return Checkpoint(int(found["attempt"]), Saved(step, tensors, content))
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def newest_common(
        self, run_ids: Sequence[str], at_most: int | None = None
    ) -> tuple[int, list[Checkpoint]] | None:
        """Return the last step at which all runs have a checkpoint that can be read, with these.

        Args:
            run_ids: the runs.
            at_most: later ones do not count: who wrote them was no longer to.
        """
        if not run_ids:
            return None
        common = set.intersection(*(set(self.steps(run_id)) for run_id in run_ids))
        for step in sorted(common, reverse=True):
            if at_most is not None and step > at_most:
                continue
            found = []
            for run_id in run_ids:
                checkpoint = self.read(run_id, step)
                if checkpoint is None:
                    break
                found.append(checkpoint)
            else:
                return step, found
        return None

    def clear(self, run_id: str) -> None:
        """Remove a run's checkpoints, and what writers that were killed have left."""
        shutil.rmtree(self.folder / run_id, ignore_errors=True)

    def size(self, run_id: str) -> int:
        """Return the bytes of a run's checkpoints."""
        total = 0
        for step in self.steps(run_id):
            with contextlib.suppress(OSError):
                total += self._path(run_id, step).stat().st_size
        return total

    def _path(self, run_id: str, step: int) -> Path:
        return self.folder / run_id / f"{step:08d}.safetensors"
