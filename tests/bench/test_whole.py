"""A short run is trained as dfgctl run does, and accounted for."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from dfgctl.bench import planning, whole
from dfgctl.bench.accounts import Accounts, Entry
from dfgctl.dispatch.events import Observer
from dfgctl.dispatch.place import Place
from dfgctl.errors import RunsFailedError
from dfgctl.registry import Registry
from dfgctl.training import Trainer


class Watcher(Observer):
    """Counts steps."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def stepped(self, step: int) -> None:
        self.steps.append(step)


def trained(tmp_path: Path, method: str, watch: Observer, steps: int, pack: int = 1) -> whole.Whole:
    subject = planning.subject(*planning.recipe_of(None, None), tmp_path, tmp_path, synthetic=False)
    checked = planning.checked(subject, [method], [f"{method}.batch_size=4"], pack)
    place = Place(torch.device("cpu"), pack, tmp_path)
    return whole.train(subject, checked, place, "fp32", watch, steps)


@pytest.mark.parametrize(("method", "pack"), [("original", 2), ("finetune", 1)])
def test_all_of_a_short_run_is_accounted_for(tmp_path: Path, method: str, pack: int) -> None:
    watch = Watcher()
    before = dict(vars(Registry)), dict(vars(Trainer)), dict(vars(Watcher))
    found = trained(tmp_path, method, watch, steps=8, pack=pack)
    assert (dict(vars(Registry)), dict(vars(Trainer)), dict(vars(Watcher))) == before
    assert watch.steps[-8:] == list(range(1, 9))
    assert (found.method, found.pack, found.steps, found.run_steps) == (method, pack, 8, 600)
    assert sum(part.share for part in found.parts) == pytest.approx(1)
    assert sum(part.whole_seconds for part in found.parts) == pytest.approx(found.whole_seconds)
    parts = {part.name: part for part in found.parts}
    own = sum(p.seconds for p in found.parts)
    assert own >= found.seconds  # other threads come on top
    assert parts["training steps"].calls == 8 + 5  # each step, and the wait before an evaluation
    assert parts["evaluations"].calls == 5
    assert parts["final weights"].calls == 1 + pack
    for name in ("set-up", "registry", "checkpoints", "progress", "logs"):
        assert parts[name].calls > 0, name
    steps = parts["training steps"]
    assert steps.whole_seconds == pytest.approx(steps.seconds * 600 / 8)
    evaluations = parts["evaluations"]
    assert evaluations.whole_seconds == pytest.approx(evaluations.seconds * 13 / 5)
    together = sum(parts[name].share for name in ("registry", "checkpoints", "progress", "logs"))
    assert found.bookkeeping_share == pytest.approx(together)
    assert not list(tmp_path.glob("**/registry.sqlite"))


def test_a_run_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(trainer: Trainer, step: int) -> None:
        raise RuntimeError("The device has melted.")

    monkeypatch.setattr(Trainer, "step", fail)
    with pytest.raises(RunsFailedError, match="The device has melted"):
        trained(tmp_path, "original", Watcher(), steps=8)


def entries(**seconds: float) -> dict[tuple[str, str], Entry]:
    parts: Mapping[str, tuple[str, str]] = {
        "steps": ("training steps", "step"),
        "setup": ("set-up", "once"),
        "evaluations": ("evaluations", "evaluation"),
        "kept": ("checkpoints", "checkpoint"),
    }
    return {parts[name]: Entry(3, value) for name, value in seconds.items()}


def test_checkpoints_come_as_often_as_the_worker_writes_them(tmp_path: Path) -> None:
    subject = planning.subject(*planning.recipe_of(None, None), tmp_path, tmp_path, synthetic=False)
    run = planning.plan(planning.checked(subject, ["original"], [], 1), subject).runs[0]
    accounts = Accounts(entries(steps=80.0, evaluations=5.0, setup=7.0, kept=3.0))
    parts, count = whole._extrapolated(accounts, seconds=100.0, steps=8, every=2, whole=run)
    named = {part.name: part for part in parts}
    # 600 of 8 steps, 13 of 5 evaluations; 5 s are nowhere else
    rest = 80.0 * 75 + 5.0 * 13 / 5 + 7.0 + 5.0
    assert named["other"].whole_seconds == pytest.approx(5.0)
    # a checkpoint takes 1 s and may take 0.5 % of the time: one in 200 s
    assert count == int(rest / 200)
    assert named["checkpoints"].whole_seconds == pytest.approx(count)
