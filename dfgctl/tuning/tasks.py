"""The searches that were asked for, and the commands that make them."""

import shlex
from collections.abc import Sequence

from dfgctl.data.manifest import Manifest
from dfgctl.dispatch.plan import source_of
from dfgctl.dispatch.request import Checked
from dfgctl.dispatch.tuned import ELSEWHERE
from dfgctl.errors import InputError, SettingError
from dfgctl.fragments import Pair
from dfgctl.tuning.task import Task

TRIALS, VALIDATION, SELECT = 20, 0.2, "last"
"""The defaults of ``dfgctl tune``."""


def check_one_point(checked: Checked) -> None:
    """Check that settings are fixed, not swept; a start is a contender of its own.

    Raises:
        SettingError: a setting has several values.
    """
    for key in checked.variants[0].changes:
        values = {repr(variant.changes[key]) for variant in checked.variants}
        if len(values) > 1 and not key.endswith(".init"):
            raise SettingError(
                f"--set {key} has several values: a search fixes a setting (one value), or chooses "
                "it itself (leave it out)."
            )


def tasks(
    checked: Checked,
    target: Manifest,
    source: Manifest | None,
    pairs: tuple[Pair, ...],
    select: str = SELECT,
) -> list[Task]:
    """Return the searches, method by method.

    Args:
        checked: the request.
        target: the data set's manifest.
        source: the source's; None where no method needs one.
        pairs: the pairs that each trial trains on.
        select: ``last`` or ``val``.

    Raises:
        InputError: nothing is left to search for a method.
    """
    found: dict[str, Task] = {}
    for method in checked.methods:
        for variant in checked.variants:
            network = None
            if method.starts_from_source(variant.section(method.name)):
                network = source_of(checked, variant, source, None)
            task = Task(checked, variant, method, target, network, pairs, select)
            if not task.parameters:
                raise InputError(
                    f"Nothing is left to search for {method.name}: leave a --set, or --steps, out."
                )
            found.setdefault(task.study, task)
    return list(found.values())


def command(task: Task, trials: int, target: str, seed: int | None) -> str:
    """Return the command that makes a search, in the one way in which it is always written.

    Args:
        task: the search.
        trials: how many trials are wanted.
        target: what a command calls the data set.
        seed: ``--seed``, where it was given.
    """
    request, recipe, spec = task.checked.request, task.checked.recipe, task.spec
    name = str(task.method.code.get("class", task.method.name))
    words = ["--method", name, "--trials", str(trials)]
    if spec.ratio != recipe.imbalance.ratio:
        words += ["--imbalance", spec.ratio]
    if spec.majority not in (0, recipe.imbalance.majority):
        words += ["--majority", str(spec.majority)]
    if request.combinations != "all":
        words += ["--combinations", request.combinations]
    if seed is not None:
        words += ["--seed", str(seed)]
    if spec.source not in (None, recipe.sources[0]):
        words += ["--source", str(spec.source)]
    ours = (*task.method.sections, *(s for s in ELSEWHERE if spec.source or s != "source"))
    for key, value in task.variant.changes.items():
        section, _, name = key.partition(".")
        if section in ours and not (name == "init" and value == recipe.start(section)):
            words += ["--set", f"{key}={value}"]
    options: Sequence[tuple[str, object, object]] = (
        ("--protocol", request.protocol, "paper"),
        ("--split", request.split, ""),
        ("--precision", request.precision, "fp32"),
        ("--steps", request.steps, None),
        ("--eval-every", request.eval_every, None),
        ("--validation", request.validation, VALIDATION),
        ("--select", task.select, SELECT),
    )
    for option, value, default in options:
        if value != default:
            words += [option, str(value)]
    return f"dfgctl tune {target} {shlex.join(words)}"
