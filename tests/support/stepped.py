"""Packs that are trained step by step or by recordings, to compare them."""

from typing import Any

import torch
from resuming import COMBINATIONS, few
from specs import spec

from dfgctl.data.arrays import ImageArrays
from dfgctl.data.imbalance import Ratio, class_counts
from dfgctl.events import Event
from dfgctl.ledger import SWITCHES
from dfgctl.lookup import source_backbone_of
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import seeded
from dfgctl.records import RunSpec
from dfgctl.stepping import Recorder
from dfgctl.training import Trainer

STEPS = 25
FALLING = {"lr_decay_step": 12}
SGD = {"optimizer": "sgd", **FALLING}
DFG = {"n_C1": 2, "n_C2": 3, "n_W": 11, "weight_images": 2}
DIFA = {"units": 16, "lr_decay_step": 5}  # stages of 10, 8 and 7 steps
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "original": ("original", FALLING, ""),
    "original-sgd": ("original", SGD, ""),
    "finetune": ("finetune", SGD, ""),
    "delta": ("delta", FALLING, ""),
    "difa": ("difa", DIFA, ""),
    "difa-sgd": ("difa", {**SGD, **DIFA}, ""),
    "dfg": ("dfg", {**FALLING, **DFG}, ""),
    "dfg-sgd": ("dfg", {**SGD, **DFG}, ""),
    "dfg-released": ("dfg", {**FALLING, **DFG}, "all"),
    "dfg-gated": ("dfg", {**FALLING, **DFG, "n_W": 5}, "F07"),
    "balanced": ("balanced", FALLING, ""),
    "cbloss": ("cbloss", FALLING, ""),
    "cbloss-focal": ("cbloss", {**FALLING, "loss": "focal"}, ""),
    "logitadjust": ("logitadjust", FALLING, ""),
    "ldam": ("ldam", {**FALLING, "share_1": 0.7}, ""),
    "crt": ("crt", {**FALLING, "share_1": 0.7}, ""),
    "smote": ("smote", {**FALLING, "share_1": 0.55, "init": "source"}, ""),
}
"""Methods with settings that go through all of their phases, and which switches are released."""


def specs(case: str, replicas: int, n_D: int = 2, **changes: Any) -> list[RunSpec]:
    """Return the specs of a case's pack, with n_D updates of a critic in a step."""
    method, own, released = CASES[case]
    if method in ("difa", "dfg"):
        own = {**own, "n_D": n_D}
    made: dict[str, Any] = {"steps": STEPS, "eval_every": 6, "own": {**own, "batch_size": 8}}
    if method in ("delta", "dfg"):
        made["sections"] = {"reg": {"weight_batches": 1}}
    if released:
        chosen = SWITCHES if released == "all" else [released]
        made["sections"]["fidelity"] = dict.fromkeys(chosen, "released")
    made |= changes
    return [spec(method, combination=c, **made) for c in COMBINATIONS[:replicas]]


def trainer(
    pack: list[RunSpec],
    data: ImageArrays,
    recorder: Recorder | None = None,
    device: str = "cpu",
    graphs: bool | None = None,
) -> Trainer:
    """Return a trainer of a pack, with a recorder in its place if one is given."""
    counts = [class_counts([87] * 10, s.combination, Ratio.parse("10:1"), 80) for s in pack]
    where = torch.device(device)
    made = Trainer(pack, counts, few(data), _source(pack[0]), where, torch.float32, graphs)
    if recorder is not None:
        made.stepper.recorder = recorder
    return made


def _source(first: RunSpec) -> SourceWeights:
    """Return a source network with random weights."""
    network = source_backbone_of(first)
    parts = {
        "E": seeded(network.extractor, 1, "E"),
        "C": seeded(lambda: network.classifier(10), 1, "C"),
    }
    state = {f"{n}.{k}": v for n, net in parts.items() for k, v in net.state_dict().items()}
    return SourceWeights(state, 10)


def driven(made: Trainer, start: int = 0) -> list[Event]:
    """Train to the end, with evaluations."""
    events: list[Event] = [] if start else [made.evaluate(0)]
    for step in range(start + 1, made.steps + 1):
        made.step(step)
        if step % made.eval_every == 0 or step == made.steps:
            events.append(made.evaluate(step))
    return [*events, made.done()]
