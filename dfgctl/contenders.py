"""Who is compared: the paper's methods, and the simple rivals. Standard library only."""

from collections.abc import Iterable, Mapping

METHODS: Mapping[str, str] = {
    "original": "Original",
    "finetune": "Fine-tuning",
    "delta": "DELTA",
    "difa": "DIFA + cMWGAN",
    "dfg": "DFG",
}
"""The paper's methods: ids and what its tables call them, in its order."""

RIVALS: Mapping[str, str] = {
    "balanced": "Balanced batches",
    "cbloss": "CB loss",
    "logitadjust": "Logit adjustment",
    "ldam": "LDAM-DRW",
    "crt": "cRT",
    "smote": "SMOTE",
}
"""Simple methods for imbalanced data that the paper does not compare: ids and titles."""

BUILT_IN: Mapping[str, str] = {**METHODS, **RIVALS}
"""All methods that come with dfgctl."""

GROUPS: Mapping[str, Mapping[str, str]] = {"paper": METHODS, "rivals": RIVALS, "all": BUILT_IN}
"""What ``--method`` takes for several methods at once."""


def each(names: Iterable[str]) -> list[str]:
    """Return the methods that names stand for; the paper's where there are none."""
    found = [method for name in names for method in GROUPS.get(name, (name,))]
    return list(dict.fromkeys(found or METHODS))


RANDOM, SOURCE = "random", "source"
"""What a rival starts from: its setting ``init``."""


def contender(method: str, init: str) -> str:
    """Name a method with what it starts from: ``balanced``, or ``balanced/source``."""
    return f"{method}/{SOURCE}" if init == SOURCE else method


CONTENDERS: Mapping[str, str] = {
    **METHODS,
    **{
        contender(method, init): title + (", source" if init == SOURCE else "")
        for method, title in RIVALS.items()
        for init in (RANDOM, SOURCE)
    },
}
"""What tables tell apart: the paper's methods, and each rival from either start, with titles."""
