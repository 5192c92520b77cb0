"""The baselines: where they start, what they train, what they hold near the source."""

import torch

from dfgctl.methods.base import SourceWeights, frozen_source, random_networks
from dfgctl.methods.delta import Delta
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.original import Original


def test_original_starts_at_random_weights_of_the_runs_own(context, settings, source):
    method = Original(context(range(2)), settings("original"))
    first, second = (method.E.replica_state(r)["conv.weight"] for r in range(2))
    assert not torch.equal(first, second)
    assert not torch.equal(first, source.state["E.conv.weight"].double())


def test_the_others_start_at_the_sources_weights(context, settings, source):
    for method in (
        Finetune(context(range(2)), settings("finetune")),
        Delta(context(range(2)), settings("delta"), settings("reg")),
    ):
        for r in range(2):
            for name, value in source.part("C").items():
                assert torch.equal(method.C.replica_state(r)[name], value.double())


def test_finetune_keeps_what_comes_before_the_last_convolution(context, settings):
    method = Finetune(context(range(1)), settings("finetune"))
    E, C = method.E.replica_state(0), method.C.replica_state(0)
    for step in (1, 2, 3):
        method.step(step)
    assert all(torch.equal(v, E[n]) for n, v in method.E.replica_state(0).items())
    assert all(not torch.equal(v, C[n]) for n, v in method.C.replica_state(0).items())


def test_a_strong_regulariser_holds_the_features_near_the_sources(context, settings):
    moved = []
    for alpha in (0.0, 10.0):
        method = Delta(context(range(1)), settings("delta"), settings("reg", alpha=alpha))
        x, _ = method.batches.draw(0, 0)
        with torch.no_grad():
            before = method.E(x)
            for step in range(1, 31):
                with torch.enable_grad():
                    method.step(step)
            moved.append(float((method.E(x) - before).square().mean()))
    assert moved[1] < 0.2 * moved[0]


def test_other_class_counts_get_a_new_head_that_reference_networks_train_alone(
    context, settings, source
):
    from dataclasses import replace

    from dfgctl.networks.backbones import seeded

    pack = context(range(2))
    lenet = pack.backbone
    letters = seeded(lambda: lenet.classifier(26), 1, "C").state_dict()
    state = {**{f"E.{n}": t for n, t in source.part("E").items()},
             **{f"C.{n}": t for n, t in letters.items()}}  # fmt: skip
    pack = replace(pack, source=SourceWeights(state, 26))
    method = Finetune(pack, settings("finetune"))
    heads = [method.C.replica_state(r)["head.weight"] for r in range(2)]
    assert heads[0].shape == (10, 84)
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(method.C.replica_state(0)["fc1.weight"], letters["fc1.weight"].double())

    _, reference = frozen_source(pack, settings("reg", head_epochs=3))
    trained = reference.replica_state(0)
    assert torch.equal(trained["fc2.weight"], letters["fc2.weight"].double())
    assert not torch.equal(trained["head.weight"], heads[0])
    assert not any(p.requires_grad for p in reference.parameters())
    assert not reference.training


def test_random_networks_do_not_depend_on_the_pack(context):
    alone = random_networks(context(range(1, 2)))[1].replica_state(0)
    packed = random_networks(context(range(3)))[1].replica_state(1)
    assert all(torch.equal(alone[n], packed[n]) for n in alone)
