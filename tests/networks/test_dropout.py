"""Dropout by streams (F27): of the run alone, whoever shares its pack."""

import pytest
import torch
from narrow import both, narrow

from dfgctl.ledger import Readings
from dfgctl.networks.backbones import backbone, seeded
from dfgctl.networks.dropout import StreamDropout
from dfgctl.pack import Replicated

KEYS = (11, 12, 13)


def dropouts(keys: tuple[int, ...] = KEYS, share: float = 0.5) -> Replicated:
    return Replicated([seeded(lambda: StreamDropout(share), key, "C") for key in keys])


def ones(replicas: int, units: int = 40) -> torch.Tensor:
    return torch.ones(replicas, 25, units, dtype=torch.float64)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_the_share_is_dropped_and_the_rest_scaled_up(share: float):
    out = dropouts((11,), share)(ones(1, 400))
    assert set(out.unique().tolist()) <= {0.0, 1 / (1 - share)}
    # Five standard deviations of a share of 10,000 units.
    assert (out == 0).double().mean().item() == pytest.approx(share, abs=0.025)
    assert out.dtype == torch.float64


def test_each_call_draws_another_mask_and_each_replica_its_own():
    pack = dropouts()
    first, second = pack(ones(3)), pack(ones(3))
    masks = {tuple((mask == 0).flatten().tolist()) for mask in (*first, *second)}
    assert len(masks) == 6


def test_a_pack_drops_what_each_member_alone_does():
    pack = dropouts()
    together = [pack(ones(3)) for _ in range(3)]
    for r, key in enumerate(KEYS):
        alone = dropouts((key,))
        for out in together:
            assert torch.equal(alone(ones(1))[0], out[r])
        assert alone.replica_state(0)["count"] == pack.replica_state(r)["count"] == 3


def test_it_goes_on_where_its_state_says():
    one = seeded(lambda: StreamDropout(0.5), 3, "C")
    one(ones(1))
    other = StreamDropout(0.5)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(ones(1)), other(ones(1)))


def test_nothing_is_dropped_or_counted_in_evaluation_mode():
    pack = dropouts().eval()
    assert torch.equal(pack(ones(3)), ones(3))
    assert pack.replica_state(0)["count"] == 0


def test_only_kept_units_pass_a_gradient():
    x = ones(2).requires_grad_()
    out = dropouts(KEYS[:2])(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_vgg16_has_it_behind_its_two_hidden_dense_layers_where_f27_is_released():
    with torch.device("meta"):
        released = backbone("vgg16", readings=Readings(frozenset({"F27"}))).classifier(10)
        paper = backbone("vgg16").classifier(10)
    found = {n: m for n, m in released.named_modules() if isinstance(m, StreamDropout)}
    assert {n: m.share for n, m in found.items()} == {"classifier.2": 0.5, "classifier.5": 0.5}
    assert not any(isinstance(m, StreamDropout) for m in paper.modules())


def test_a_pack_of_whole_networks_drops_what_each_alone_does(monkeypatch: pytest.MonkeyPatch):
    network = narrow(monkeypatch, "vgg16", readings=Readings(frozenset({"F27"})))
    x = torch.randn(2, 4, 4, 16, 16, dtype=torch.float64)
    pack = Replicated([both(network, 3, key)[1] for key in KEYS[:2]]).train()
    together = [pack(x) for _ in range(2)]
    assert not torch.equal(together[0], together[1])
    for r in range(2):
        alone = Replicated([both(network, 3, KEYS[r])[1]]).train()
        for out in together:
            torch.testing.assert_close(alone(x[r : r + 1])[0], out[r])
    pack.eval()
    assert torch.equal(pack(x), pack(x))
