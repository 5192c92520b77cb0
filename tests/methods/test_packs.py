"""A pack of four gives what four packs of one give, run by run, for every method."""

from dataclasses import replace

import pytest
import torch
from tiny_methods import METHODS, RIVALS

from dfgctl.data.batches import Batches
from dfgctl.methods.base import SourceWeights, frozen_source


def test_a_new_head_does_not_depend_on_how_many_images_the_others_have(context, settings, source):
    pack = context(range(3))
    # 44, 44 and 20 images of 8 a batch: 6, 6 and 3 steps an epoch.
    subsets = [pack.batches.subsets[0], pack.batches.subsets[1], pack.batches.subsets[2][:20]]
    old = pack.batches
    batches = Batches(old.images, subsets, pack.run_keys, old.batch_size, old.dtype)
    other = {n: t for n, t in source.state.items() if not n.startswith("C.head")}
    letters = SourceWeights(
        {**other, "C.head.weight": torch.ones(26, 84), "C.head.bias": torch.zeros(26)}, 26
    )
    pack = replace(pack, batches=batches, source=letters)
    reg = settings("reg", head_epochs=2)
    _, together = frozen_source(pack, reg)
    for r, single in enumerate(pack.singles()):
        _, alone = frozen_source(single, reg)
        for name, value in alone.replica_state(0).items():
            assert torch.equal(together.replica_state(r)[name], value), (r, name)


@pytest.mark.parametrize("name", [*METHODS, *RIVALS])
def test_a_pack_of_four_equals_four_packs_of_one(context, settings, name):
    make = {**METHODS, **RIVALS}[name]
    packed = make(context(range(4)), settings)
    losses = [packed.step(step) for step in range(1, 6)]
    for r in range(4):
        alone = make(context(range(r, r + 1)), settings)
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
