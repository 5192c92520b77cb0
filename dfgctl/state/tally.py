"""What is counted of a pack while it trains: losses, best steps, seconds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dfgctl.state.saved import StateError, own


class Tally:
    """The counts of a pack, by replica.

    Args:
        replicas: R.
        device: where the losses lie.

    Attributes:
        finite: whether all losses so far were finite, (R,).
        best: the highest test accuracy so far, and its step.
        chosen: the highest validation accuracy, and the test accuracy and the step that go with it.
        train_seconds: the pack's time in training, since it was set up here.
        eval_seconds: its time in evaluations, likewise.
    """

    def __init__(self, replicas: int, device: torch.device) -> None:
        self.replicas, self.device = replicas, device
        self.finite = torch.ones(replicas, dtype=torch.bool, device=device)
        self.best: dict[int, tuple[float, int]] = {}
        self.chosen: dict[int, tuple[float, float, int]] = {}
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        # Of each replica's former packs: all of their training, and its share of both times.
        self._before = [(0.0, 0.0, 0.0)] * replicas

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add a step's losses, each (R,), without a look at their values."""
        self.sum(losses)
        self.count(losses)

    def sum(self, losses: Mapping[str, Tensor]) -> None:
        """Do the device's part of ``add``: in place, so that it can be recorded and done again."""
        for name, loss in losses.items():
            if name not in self._sums:
                # Minus zero: adding to it gives back every number, zeros of either sign too.
                self._sums[name] = torch.full_like(loss, -0.0, requires_grad=False)
            self._sums[name].add_(loss.detach())
            self.finite.logical_and_(loss.isfinite())

    def count(self, names: Iterable[str]) -> None:
        """Do the other part of ``add``: note which losses were summed."""
        for name in names:
            self._counts[name] = self._counts.get(name, 0) + 1

    def take_means(self) -> dict[str, list[float]]:
        """Return the losses' means, by replica, and begin anew."""
        means = {name: (self._sums[name] / n).tolist() for name, n in self._counts.items()}
        for total in self._sums.values():
            total.fill_(-0.0)
        self._counts = {}
        return means

    def note(self, replica: int, step: int, accuracy: float, validation: float | None) -> None:
        """Note the accuracies of an evaluation, if they are the best so far."""
        if accuracy > self.best.get(replica, (-1.0, 0))[0]:
            self.best[replica] = (accuracy, step)
        if validation is not None and validation > self.chosen.get(replica, (-1.0,))[0]:
            self.chosen[replica] = (validation, accuracy, step)

    def seconds_so_far(self, replica: int) -> float:
        """Return the time in training of all packs that a replica was in."""
        return self._before[replica][0] + self.train_seconds

    def seconds_of(self, replica: int) -> tuple[float, float]:
        """Return a replica's shares of the times in training and in evaluations."""
        _, trained, evaluated = self._before[replica]
        return (
            trained + self.train_seconds / self.replicas,
            evaluated + self.eval_seconds / self.replicas,
        )

    def saved(self, replica: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return one replica's sums of losses, and the rest as JSON."""
        return {name: own(self._sums[name][replica]) for name in self._counts}, {
            "counts": dict(self._counts),
            "finite": bool(self.finite[replica]),
            "best": list(self.best.get(replica, ())),
            "chosen": list(self.chosen.get(replica, ())),
            "seconds": [self.seconds_so_far(replica), *self.seconds_of(replica)],
        }

    def restore(
        self, tensors: Sequence[Mapping[str, Tensor]], contents: Sequence[Mapping[str, Any]]
    ) -> None:
        """Go on from what was saved of each replica.

        Raises:
            StateError: the replicas did not count the same losses.
        """
        counts = contents[0]["counts"]
        if any(content["counts"] != counts for content in contents):
            raise StateError("the runs did not count the same losses")
        self._counts = dict(counts)
        self._sums = {
            name: torch.stack([own[name] for own in tensors]).to(self.device) for name in counts
        }
        self.finite = torch.tensor([c["finite"] for c in contents], device=self.device)
        for r, content in enumerate(contents):
            if content["best"]:
                accuracy, step = content["best"]
                self.best[r] = (accuracy, step)
            if content["chosen"]:
                validation, accuracy, step = content["chosen"]
                self.chosen[r] = (validation, accuracy, step)
            so_far, trained, evaluated = content["seconds"]
            self._before[r] = (so_far, trained, evaluated)
