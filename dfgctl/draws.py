"""The streams of ``dfgctl.seeding`` as tensors: the same words on every device.

Only 64-bit integer arithmetic, so a draw needs no state: a resumed run needs only its step, a run's
draws do not depend on its pack, and a captured graph can draw.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dfgctl import seeding


def _signed(word: int) -> int:
    """Return a 64-bit word as the signed integer with the same bits."""
    return word - (1 << 64) if word >= 1 << 63 else word


_WEYL = _signed(seeding.WEYL)
_MULTIPLIER_1 = _signed(seeding.MULTIPLIER_1)
_MULTIPLIER_2 = _signed(seeding.MULTIPLIER_2)


def _shift(word: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros (``>>`` alone would fill with the sign)."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)


def _mix(word: Tensor) -> Tensor:
    word = (word ^ _shift(word, 30)) * _MULTIPLIER_1
    word = (word ^ _shift(word, 27)) * _MULTIPLIER_2
    return word ^ _shift(word, 31)


def uniform_from(key: Tensor, step: Tensor, count: int) -> Tensor:
    """Draw (count,) numbers uniform on [0, 1) from a stream whose key and step are tensors, ()."""
    index = torch.arange(1, count + 1, dtype=torch.int64, device=key.device) * _WEYL
    return _shift(_mix(_mix(key + step * _WEYL) + index), 40).to(torch.float32) * 2.0**-24


class Stream:
    """One named stream for each replica of a pack.

    Args:
        run_keys: the runs' keys (``seeding.run_key``), R of them.
        name: what is drawn; streams of different names are independent.
        device: where the tensors live.
    """

    def __init__(self, run_keys: Sequence[int], name: str, device: torch.device) -> None:
        keys = [_signed(seeding.substream(run_key, name)) for run_key in run_keys]
        self._keys = torch.tensor(keys, dtype=torch.int64, device=device)  # (R,)
        self._counters: dict[int, Tensor] = {}

    def words(self, step: int | Tensor, shape: tuple[int, ...]) -> Tensor:
        """Draw (R, *shape) words, uniform over all signed 64-bit integers.

        Args:
            step: where in the stream; a tensor, (), int64, on the streams' device draws the same.
            shape: the shape of one replica's words.
        """
        count = 1
        for size in shape:
            count *= size
        if count not in self._counters:
            index = torch.arange(1, count + 1, dtype=torch.int64, device=self._keys.device)
            self._counters[count] = index * _WEYL
        if isinstance(step, Tensor):
            moved = self._keys + step * _WEYL  # wraps around like unsigned words
        else:
            moved = self._keys + _signed((step * seeding.WEYL) & seeding.MASK)
        base = _mix(moved)  # (R,)
        return _mix(base[:, None] + self._counters[count]).view(-1, *shape)

    def integers(self, step: int | Tensor, shape: tuple[int, ...], high: int | Tensor) -> Tensor:
        """Draw (R, *shape) integers in [0, high); ``high`` may differ by replica, (R, 1, ...)."""
        return _shift(self.words(step, shape), 1) % high

    def uniform(
        self,
        step: int | Tensor,
        shape: tuple[int, ...],
        low: float = 0.0,
        high: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw (R, *shape) numbers uniform from low to high, on a grid of 2**24 values."""
        unit = _shift(self.words(step, shape), 40).to(dtype) * 2.0**-24
        return unit * (high - low) + low
