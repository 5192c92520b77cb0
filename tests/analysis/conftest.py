"""Runs with random weights, as if they had been trained."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from narrow import narrow
from specs import spec

from dfgctl import inference
from dfgctl.analysis.trained import Trained
from dfgctl.data.arrays import ImageArrays
from dfgctl.inference import Classifier, ClassifierCard
from dfgctl.lookup import sections_of
from dfgctl.networks.feature_gan import MixtureGenerator
from dfgctl.networks.generator import generator
from dfgctl.records import Metrics, Run

MakeTrained = Callable[..., Trained]
METRICS = Metrics(0.5, 0.5, 4, 0.5, 0.5, 0.5, (0.5,) * 3, 0.5, 0.5, (), 1.0, 0.1)


def random_weights(module: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """Return a network's weights, with statistics that are not the first."""
    state = {f"{prefix}.{n}": t.clone() for n, t in module.state_dict().items()}
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.3)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return state


@pytest.fixture
def make_trained(monkeypatch: pytest.MonkeyPatch) -> MakeTrained:
    """Make a run's networks: three classes, pictures of 32x32, narrow where they are large."""

    def make(method: str = "dfg", name: str = "lenet5", split: str = "block1") -> Trained:
        sections = {} if name != "resnet50" else {"network": {"split": split}}
        described = spec(method, backbone=name, sections=sections, combination=(1,))
        bounded, cosine = method == "difa", method == "ldam"
        few = narrow(monkeypatch, name, split, bounded=bounded, cosine=cosine)
        monkeypatch.setattr("dfgctl.lookup.backbone", lambda *_: few)
        monkeypatch.setattr(inference, "backbone", lambda *_: few)
        torch.manual_seed(0)
        state = random_weights(few.extractor(), "E") | random_weights(few.classifier(3), "C")
        settings, _ = sections_of(described)
        if method == "dfg":
            state |= random_weights(generator(name, split, settings.noise, 3), "G")
            width = state[f"E.{few.filter_layer}.weight"].shape[0]
            state["W_star"] = torch.rand(3, width) + 0.5
        elif method == "difa":
            made = MixtureGenerator(settings.components, settings.noise, 3, 256, few.hidden)
            state |= random_weights(made, "S")
        run = Run(
            id=described.identity(),
            spec=described,
            status="finished",
            class_counts=(2, 6, 3),
            created_at=datetime(2025, 1, 1, tzinfo=UTC),
            attempts=1,
            outcome="finished",
            error=None,
            metrics=METRICS,
            result_attempt=1,
            device="CPU",
            dirty=False,
        )
        card = ClassifierCard(
            run=run.id,
            dataset="digits",
            method=method,
            backbone=name,
            split=split,
            bounded=bounded,
            released=(),
            classes=("zero", "one", "two"),
            channels=1 if name == "lenet5" else 3,
            resize=32,
            pad=0,
            crop=32,
            cosine=cosine,
        )
        networks = {n: t for n, t in state.items() if n[:2] in ("E.", "C.")}
        return Trained(run, Classifier(card, networks), state)

    return make


@pytest.fixture
def arrays() -> ImageArrays:
    """Random grey pictures: eight of each of three classes to train on, five to test on."""
    rng = np.random.default_rng(0)
    train, test = np.repeat(np.arange(3), 8), np.tile(np.arange(3), 5)
    return ImageArrays(
        rng.integers(0, 256, (24, 1, 32, 32), dtype=np.uint8),
        train,
        rng.integers(0, 256, (15, 1, 32, 32), dtype=np.uint8),
        test,
    )
