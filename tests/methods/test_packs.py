"""A pack of four gives what four packs of one give, run by run, for every method."""

from dataclasses import replace

import pytest
import torch

from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.original import Original
from dfgctl.networks.backbones import backbone

METHODS = {
    "original": lambda c, s: Original(c, s("original")),
    "finetune": lambda c, s: Finetune(c, s("finetune")),
    "delta": lambda c, s: Delta(c, s("delta"), s("reg")),
    "difa": lambda c, s: Difa(
        replace(c, backbone=backbone("lenet5", bounded=True)),
        s("difa", steps=5, share_0=0.4, share_1=0.2, n_D=2, units=16, batch_size=8),
    ),
    "dfg": lambda c, s: Dfg(c, s("dfg", n_D=2, n_C1=1, n_C2=2, n_W=3, batch_size=8), s("reg")),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_pack_of_four_equals_four_packs_of_one(context, settings, name):
    packed = METHODS[name](context(range(4)), settings)
    losses = [packed.step(step) for step in range(1, 6)]
    for r in range(4):
        alone = METHODS[name](context(range(r, r + 1)), settings)
        for step in range(1, 6):
            for key, value in alone.step(step).items():
                torch.testing.assert_close(losses[step - 1][key][r], value[0], rtol=1e-8, atol=1e-9)
        mine, theirs = alone.weights(0), packed.weights(r)
        for key, value in mine.items():
            torch.testing.assert_close(theirs[key], value, rtol=1e-7, atol=1e-9)


def test_classify_gives_each_replicas_own_logits(context, settings):
    method = METHODS["original"](context(range(3)), settings)
    x, _ = method.batches.draw(0, 0)
    logits = method.classify(x)
    for r in range(3):
        alone = METHODS["original"](context(range(r, r + 1)), settings)
        torch.testing.assert_close(logits[r], alone.classify(x[r : r + 1])[0])
