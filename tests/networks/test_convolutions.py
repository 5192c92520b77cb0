"""A pack's convolutions as matrix products: PyTorch's numbers, and the faster way of the two."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.networks import convolutions
from dfgctl.networks.convolutions import Convolutions, Shape

CPU = torch.device("cpu")

# Images, weights, stride, padding, output padding of those in D, E, C and G of LeNet-5.
CONVOLUTIONS = {
    "D.conv1": ((4, 6, 14, 14), (32, 6, 5, 5), 2, 2, None),
    "D.conv2": ((4, 32, 7, 7), (64, 32, 5, 5), 2, 2, None),
    "D.conv3, its transpose": ((4, 128, 2, 2), (128, 64, 5, 5), 2, 2, 1),
    "D.conv2, its transpose": ((4, 64, 4, 4), (64, 32, 5, 5), 2, 2, 0),
    "E.conv": ((4, 1, 32, 32), (6, 1, 5, 5), 1, 0, None),
    "C.conv": ((4, 6, 14, 14), (16, 6, 5, 5), 1, 0, None),
    "G.deconv1": ((4, 128, 4, 4), (128, 48, 3, 3), 2, 0, 0),
    "G.deconv3": ((4, 12, 11, 11), (12, 6, 4, 4), 1, 0, 0),
    "VGG's": ((4, 3, 8, 8), (5, 3, 3, 3), 1, 1, None),
    "ResNet's": ((4, 3, 9, 9), (5, 3, 1, 1), 2, 0, None),
}


def shape(name: str, replicas: int = 3, dtype: torch.dtype = torch.float64) -> Shape:
    return Shape(replicas, *CONVOLUTIONS[name], dtype, CPU)


def drawn(found: Shape) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(found.replicas, *found.images, dtype=found.dtype, requires_grad=True)
    w = torch.randn(found.replicas, *found.weight, dtype=found.dtype, requires_grad=True)
    return x, w


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_products_give_what_the_library_gives(name: str):
    found = shape(name)
    x, w = drawn(found)
    a, b = (torch.vmap(way)(x, w) for way in (found.by_library, found.by_products))
    torch.testing.assert_close(b, a)
    upstream = torch.randn_like(a)
    gradients = [torch.autograd.grad(y, (x, w), upstream) for y in (a, b)]
    for mine, theirs in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.fixture
def anywhere(monkeypatch):
    """Treat the CPU as if it were a device where products may be faster."""

    class Elsewhere(Convolutions):
        def _shape(self, *args, **kwargs):
            found = self._read(*args, **kwargs)
            self.met.append(found)
            return found

        met: list[Shape | None] = []  # noqa: RUF012

    Elsewhere.met.clear()
    monkeypatch.setattr(convolutions, "_chosen", {})
    return Elsewhere


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, stride=2, padding=1)
        self.deconv = nn.ConvTranspose2d(3, 2, 4, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(F.relu(self.conv(x)))


@pytest.mark.parametrize("way", ["library", "products"])
def test_a_network_of_a_pack_is_computed_in_the_way_that_is_faster(anywhere, monkeypatch, way):
    times = {"library": 2.0, "products": 2.0} | {way: 1.0}
    monkeypatch.setattr(Shape, "times", lambda self: times)
    called = []
    original = Shape.by_products
    monkeypatch.setattr(
        Shape, "by_products", lambda self, x, w: called.append(1) or original(self, x, w)
    )
    members = [Both().double() for _ in range(2)]
    x = torch.randn(2, 3, 2, 8, 8, dtype=torch.float64)
    expected = torch.stack([m(x[r]) for r, m in enumerate(members)])
    states = [m.state_dict() for m in members]
    stacked = {n: torch.stack([s[n] for s in states]) for n in states[0]}

    def one(state, inputs):
        return torch.func.functional_call(members[0], state, inputs)

    with anywhere(2):
        got = torch.vmap(one)(stacked, x)
    torch.testing.assert_close(got, expected)
    assert len(called) == (2 if way == "products" else 0)
    assert set(convolutions.chosen().values()) == {way}
    assert [s.images for s in convolutions.chosen()] == [(3, 2, 8, 8), (3, 3, 4, 4)]
    assert [s.output_padding for s in convolutions.chosen()] == [None, 0]


def test_both_ways_are_really_timed_once_for_each_shape(anywhere, monkeypatch):
    timed = []
    original = Shape.times
    monkeypatch.setattr(Shape, "times", lambda self: timed.append(self) or original(self))
    network = Both()
    x = torch.randn(2, 3, 2, 8, 8)
    with anywhere(2):
        for _ in range(2):
            torch.vmap(network)(x)
    assert [s.images for s in timed] == [(3, 2, 8, 8), (3, 3, 4, 4)]
    assert set(timed[0].times()) == {"library", "products"}
    assert all(0 < seconds < 60 for seconds in timed[0].times().values())


def test_deterministic_algorithms_are_products_without_a_look_at_the_clock(anywhere, monkeypatch):
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    monkeypatch.setattr(Shape, "times", lambda self: pytest.fail("nothing may be timed"))
    network, x = Both().double(), torch.randn(2, 3, 2, 8, 8, dtype=torch.float64)
    with anywhere(2):
        got = torch.vmap(network)(x)
    torch.testing.assert_close(got, torch.stack([network(x[0]), network(x[1])]))


def test_timing_moves_no_global_generator_and_counts_what_is_needed_alone(anywhere, monkeypatch):
    ways = []
    for name in ("by_library", "by_products"):
        original = getattr(Shape, name)
        monkeypatch.setattr(
            Shape,
            name,
            lambda self, x, w, original=original: ways.append(self.learned) or original(self, x, w),
        )
    network, x = Both(), torch.randn(2, 3, 2, 8, 8)
    before = torch.get_rng_state()
    with anywhere(2), torch.no_grad():
        torch.vmap(network)(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(ways) == {False}
    with anywhere(2):
        torch.vmap(network)(x)
    assert [s.learned for s in convolutions.chosen()] == [False, False, True, True]


def test_a_way_that_there_is_no_memory_for_is_not_chosen(anywhere, monkeypatch):
    def out(self, x, w):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Shape, "by_products", out)
    network, x = Both().double(), torch.randn(2, 3, 2, 8, 8, dtype=torch.float64)
    with anywhere(2):
        got = torch.vmap(network)(x)
    torch.testing.assert_close(got, torch.stack([network(x[0]), network(x[1])]))
    assert set(convolutions.chosen().values()) == {"library"}


@pytest.mark.parametrize(
    "change", [{"groups": 2}, {"dilation": 2}, {"stride": (1, 2)}, {"padding": "same"}]
)
def test_what_products_do_not_cover_is_the_librarys(anywhere, monkeypatch, change):
    monkeypatch.setattr(Shape, "by_products", lambda *_: pytest.fail("not covered"))
    monkeypatch.setattr(Shape, "times", lambda self: {"library": 1.0, "products": 0.0})
    layer, x = nn.Conv2d(2, 4, 3, **change), torch.randn(2, 3, 2, 8, 8)
    with anywhere(2):
        got = torch.vmap(layer)(x)
    torch.testing.assert_close(got, torch.stack([layer(x[0]), layer(x[1])]))


def test_on_a_cpu_everything_is_the_librarys(monkeypatch):
    monkeypatch.setattr(Shape, "times", lambda self: pytest.fail("nothing is timed"))
    with Convolutions(2):
        torch.vmap(Both())(torch.randn(2, 3, 2, 8, 8))


@pytest.mark.gpu
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_products_give_what_the_library_gives_on_a_gpu(name: str):
    found = shape(name)
    x, w = (t.detach().cuda() for t in drawn(found))
    a, b = (torch.vmap(way)(x, w) for way in (found.by_library, found.by_products))
    torch.testing.assert_close(b, a)
