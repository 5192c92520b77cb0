"""Named, independent streams of counter-based random numbers.

A stream is a 64-bit key; word ``i`` of it at step ``t`` is a pure function of (key, t, i), the
SplitMix64 finaliser of Steele, Lea and Flood (2014) applied to a Weyl sequence. So nothing has to
be stored to resume a run, and no run depends on what another one drew. ``dfgctl.draws`` draws the
very same words as tensors.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

WEYL = 0x9E3779B97F4A7C15
MULTIPLIER_1 = 0xBF58476D1CE4E5B9
MULTIPLIER_2 = 0x94D049BB133111EB
MASK = (1 << 64) - 1


def key(*parts: object) -> int:
    """Hash what names a stream, e.g. ``key(seed, combination, "batches")``, to 64 bits."""
    text = "\x1f".join(repr(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def run_key(seed: int, combination: tuple[int, ...]) -> int:
    """Return the key that all streams of a run grow from.

    The method is not part of it: the methods of one repeat share subset, batches and first draws,
    and so are compared in pairs.
    """
    return key("run", int(seed), tuple(int(c) for c in combination))


def mix(word: int) -> int:
    """SplitMix64's finaliser: a bijection of 64-bit words in which every bit depends on all."""
    word = ((word ^ (word >> 30)) * MULTIPLIER_1) & MASK
    word = ((word ^ (word >> 27)) * MULTIPLIER_2) & MASK
    return word ^ (word >> 31)


def substream(stream: int, name: str) -> int:
    """Return the key of the stream ``name`` that grows from ``stream``."""
    return mix(stream ^ key(name))


def words(stream: int, step: int, count: int) -> NDArray[np.uint64]:
    """Draw words 0 to ``count - 1`` of a stream at a step: (count,) uniform 64-bit integers."""
    base = np.uint64(mix((stream + step * WEYL) & MASK))
    with np.errstate(over="ignore"):
        word = base + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(WEYL)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(MULTIPLIER_1)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(MULTIPLIER_2)
        mixed: NDArray[np.uint64] = word ^ (word >> np.uint64(31))
    return mixed


def permutation(stream: int, count: int) -> NDArray[np.int64]:
    """Shuffle 0 to ``count - 1``: the order of the stream's first ``count`` words."""
    return np.argsort(words(stream, 0, count), kind="stable").astype(np.int64)


def generator(stream: int) -> np.random.Generator:
    """Return NumPy's generator seeded by the stream, where a whole distribution is needed."""
    return np.random.Generator(np.random.PCG64(stream))
