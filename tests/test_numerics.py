"""Precisions: what is rounded and what is not, on which devices, and that nothing is left set."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dfgctl import numerics as module
from dfgctl.errors import InputError
from dfgctl.numerics import (
    WORKSPACE,
    check_precision,
    deterministic,
    inside_vmap,
    numerics,
    precisions,
    without_determinism,
)
from dfgctl.records import PRECISIONS

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def products() -> tuple[str, ...]:
    """How a GPU would round products: of matrices, in convolutions, in recurrent layers."""
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    return (matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision)


@pytest.fixture(autouse=True)
def _nothing_is_left_set() -> Iterator[None]:
    before = (products(), torch.get_deterministic_debug_mode())
    yield
    assert not torch.is_autocast_enabled("cpu")
    assert before == (products(), torch.get_deterministic_debug_mode())
    # PyTorch refuses these once old and new ways of saying it contradict each other.
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32


def test_float32_means_float32_on_a_gpu_where_convolutions_else_are_tf32() -> None:
    assert products()[1] == "tf32"
    with numerics(CUDA):
        assert products() == ("ieee", "ieee", "ieee")


def test_tf32_is_for_its_block_alone_and_float32_may_stand_inside() -> None:
    with numerics(CUDA, "tf32"):
        assert products() == ("tf32", "tf32", "tf32")
        with numerics(CUDA):
            assert products() == ("ieee", "ieee", "ieee")
        assert products() == ("tf32", "tf32", "tf32")


def test_what_was_set_before_comes_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), numerics(CUDA, "tf32"):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), numerics(CPU, "bf16"):
        raise ZeroDivisionError


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cpu_s_precision_leaves_a_gpu_s_settings_alone(precision: str) -> None:
    before = products()
    with numerics(CPU, precision):
        assert products() == before


def test_bf16_rounds_products_and_nothing_else() -> None:
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(4, 5)
    with numerics(CPU, "bf16"):
        product = x @ w
        assert product.dtype is torch.bfloat16
        assert (x + 1).dtype is torch.float32
        (gradient,) = torch.autograd.grad(product.float().sum(), x)
    assert gradient.dtype is torch.float32
    torch.testing.assert_close(product.float(), x @ w, rtol=0.02, atol=0.05)


def test_float64_is_left_alone() -> None:
    x = torch.randn(3, 3, dtype=torch.float64)
    with numerics(CPU, "bf16"):
        assert torch.equal(x @ x, x.matmul(x))
        assert (x @ x).dtype is torch.float64


def test_float32_stands_inside_bf16() -> None:
    x = torch.randn(8, 8)
    with numerics(CPU, "bf16"):
        with numerics(CPU):
            inner = x @ x
        assert (x @ x).dtype is torch.bfloat16
    assert torch.equal(inner, x @ x)


def test_a_weight_that_was_changed_inside_the_block_is_seen() -> None:
    weight, x = torch.nn.Parameter(torch.ones(2, 2)), torch.ones(1, 2)
    with numerics(CPU, "bf16"):
        before = F.linear(x, weight)
        with torch.no_grad():
            weight.add_(1)
        after = F.linear(x, weight)
    assert (before.tolist(), after.tolist()) == ([[2, 2]], [[4, 4]])


LAYERS = {
    "conv2d": (F.conv2d, (5, 2, 8, 8), (4, 2, 3, 3)),
    "conv_transpose2d": (F.conv_transpose2d, (5, 2, 8, 8), (2, 4, 3, 3)),
    "linear": (F.linear, (5, 8), (4, 8)),
    "matmul": (torch.matmul, (5, 8), (8, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_under_vmap_is_rounded_as_it_is_alone(name: str) -> None:
    layer, shape, weights = LAYERS[name]
    x, w = torch.randn(3, *shape), torch.randn(3, *weights)
    with numerics(CPU, "bf16"):
        alone = torch.stack([layer(a, b) for a, b in zip(x, w, strict=True)])
        with inside_vmap(CPU):
            together = torch.vmap(layer)(x, w)
    assert alone.dtype is together.dtype is torch.bfloat16
    torch.testing.assert_close(together.float(), alone.float(), rtol=0.02, atol=0.05)
    assert not torch.equal(together.float(), torch.vmap(layer)(x, w))


def test_a_batch_norm_under_vmap_is_float32() -> None:
    x, ones = torch.randn(3, 6, 2).bfloat16(), torch.ones(3, 2)
    mean, var = torch.zeros(3, 2), torch.ones(3, 2)

    def norm(x: Any, mean: Any, var: Any, weight: Any) -> Any:
        return F.batch_norm(x, mean, var, weight, training=True)

    with numerics(CPU, "bf16"), inside_vmap(CPU):
        result = torch.vmap(norm)(x, mean, var, ones)
    assert result.dtype is torch.float32
    torch.testing.assert_close(mean, 0.1 * x.float().mean(1))
    plain = torch.vmap(norm)(x.float(), torch.zeros(3, 2), torch.ones(3, 2), ones)
    torch.testing.assert_close(result, plain)


def test_without_autocast_vmap_is_left_alone() -> None:
    x, w = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    with numerics(CPU), inside_vmap(CPU):
        assert torch.equal(torch.vmap(F.linear)(x, w), torch.vmap(F.linear)(x, w).float())


@pytest.mark.parametrize(
    ("capability", "hip", "found"),
    [
        ((7, 5), None, ("fp32",)),
        ((8, 0), None, ("fp32", "tf32", "bf16")),
        ((9, 0), None, ("fp32", "tf32", "bf16")),
        ((9, 4), "6.3", ("fp32", "bf16")),
    ],
)
def test_a_gpu_s_generation_says_what_it_can(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    hip: str | None,
    found: tuple[str, ...],
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert precisions(CUDA) == found
    for precision in PRECISIONS:
        if precision in found:
            check_precision(CUDA, precision)
        else:
            with pytest.raises(InputError, match=f"--precision {precision} needs"):
                check_precision(CUDA, precision)


def test_a_cpu_has_no_tf32() -> None:
    assert precisions(CPU) == ("fp32", "bf16")
    with pytest.raises(InputError, match=r"^--precision tf32 needs an NVIDIA GPU .* not cpu"):
        check_precision(CPU, "tf32")
    with pytest.raises(InputError, match="upgrade"):
        check_precision(CPU, "fp8")


@pytest.mark.parametrize("workspace", [None, ":16:8", ":0:0"])
def test_deterministic_is_for_its_block_alone(
    monkeypatch: pytest.MonkeyPatch, workspace: str | None
) -> None:
    if workspace is None:
        monkeypatch.delenv(WORKSPACE, raising=False)
    else:
        monkeypatch.setenv(WORKSPACE, workspace)
    cudnn: Any = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
        assert os.environ[WORKSPACE] == (":16:8" if workspace == ":16:8" else ":4096:8")
    assert not torch.are_deterministic_algorithms_enabled()
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)
    assert os.environ.get(WORKSPACE) == workspace


def test_not_deterministic_leaves_all_as_it_is() -> None:
    with deterministic(True), deterministic(False):
        assert torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_deterministic_version_is_named() -> None:
    with deterministic(True), pytest.raises(RuntimeError) as refused:
        torch.zeros(4).put_(torch.tensor([1]), torch.ones(1))
    assert without_determinism(refused.value) == "put_"
    assert without_determinism(RuntimeError("CUDA error: out of memory")) is None


def test_there_is_a_remedy_for_each_precision_that_a_device_may_lack() -> None:
    assert set(module.NEEDS) == set(PRECISIONS) - {"fp32"}


@pytest.mark.gpu
@NO_GPU
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_gpu_rounds_as_it_was_asked_to(precision: str) -> None:
    # 1 + 2**-9 is a TF32 number and no bfloat16 one; 1 + 2**-12 is neither.
    if precision not in precisions(CUDA):
        pytest.skip(f"this GPU has no {precision}")
    coarse = torch.full((256, 256), 1 + 2**-9, device=CUDA)
    fine = torch.full((256, 256), 1 + 2**-12, device=CUDA)
    eye = torch.eye(256, device=CUDA)
    with numerics(CUDA, precision):
        kept = [bool(((eye @ x).float() == x).all()) for x in (coarse, fine)]
    assert kept == {"fp32": [True, True], "tf32": [True, False], "bf16": [False, False]}[precision]


@pytest.mark.gpu
@NO_GPU
def test_a_gpu_s_convolution_is_float32_or_tf32_as_asked() -> None:
    x = torch.randn(8, 16, 32, 32, device=CUDA)
    w = torch.randn(32, 16, 3, 3, device=CUDA)
    exact = F.conv2d(x.double(), w.double())
    errors = {}
    for precision in precisions(CUDA):
        with numerics(CUDA, precision):
            errors[precision] = float((F.conv2d(x, w).double() - exact).abs().max())
    assert errors["fp32"] < 1e-4
    assert all(error > 1e-3 for name, error in errors.items() if name != "fp32")
