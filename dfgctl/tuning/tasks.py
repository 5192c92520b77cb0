"""The searches that were asked for, and the commands that make them."""

import shlex
from collections.abc import Sequence

from dfgctl.data.manifest import Manifest
from dfgctl.dispatch.plan import source_of
from dfgctl.dispatch.request import INIT, Checked
from dfgctl.dispatch.tuned import ELSEWHERE, init_of
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
    request, recipe = task.checked.request, task.checked.recipe
    words = ["--method", _name(task), "--trials", str(trials)]
    words += _given(
        ("--combinations", request.combinations, "all"),
        ("--seed", seed, None),
        ("--eval-every", request.eval_every, None),
        ("--validation", request.validation, VALIDATION),
        ("--select", task.select, SELECT),
    )
    for key, value in task.fixed.items():
        section, _, name = key.partition(".")
        if not (name == INIT and value == recipe.start(section)):
            words += ["--set", f"{key}={value}"]
    return f"dfgctl tune {target} {shlex.join([*words, *_conditions(task)])}"


def use(tasks: Sequence[Task], target: str, methods: Sequence[str] = ()) -> str:
    """Return the command that trains with what searches found.

    Args:
        tasks: the searches, made with one command.
        target: what a command calls the data set.
        methods: what the command is to call the methods, such as ``rivals``; their names if empty.
    """
    starts: dict[str, list[str]] = {}
    for task in tasks:
        if init := init_of(task.variant, task.method):
            starts.setdefault(task.method.name, []).append(init)
    recipe = tasks[0].checked.recipe
    values = {name: ",".join(inits) for name, inits in starts.items()}
    words = [w for name in methods or dict.fromkeys(map(_name, tasks)) for w in ("--method", name)]
    if len(set(values.values())) == 1:  # one word for all of them
        (name, value), *_ = values.items()
        values = {} if all(value == recipe.start(n) for n in values) else {"": value}
    for name, value in values.items():
        if not name or value != recipe.start(name):
            words += ["--set", f"{name}.{INIT}={value}" if name else f"{INIT}={value}"]
    sourced = next((task for task in tasks if task.network is not None), tasks[0])
    return f"dfgctl run {target} --tuned {shlex.join([*words, *_conditions(sourced)])}"


def _name(task: Task) -> str:
    return str(task.method.code.get("class", task.method.name))


def _conditions(task: Task) -> list[str]:
    """Return the options that say what a search's result holds for, beside its method."""
    request, recipe, spec = task.checked.request, task.checked.recipe, task.spec
    words = _given(
        ("--imbalance", spec.ratio, recipe.imbalance.ratio),
        ("--majority", spec.majority or recipe.imbalance.majority, recipe.imbalance.majority),
        ("--source", spec.source or recipe.sources[0], recipe.sources[0]),
        ("--protocol", request.protocol, "paper"),
        ("--split", request.split, ""),
        ("--precision", request.precision, "fp32"),
        ("--steps", request.steps, None),
    )
    ours = [s for s in ELSEWHERE if spec.source or s != "source"]
    changes = {k: v for k, v in task.variant.changes.items() if k.partition(".")[0] in ours}
    return [*words, *(w for k, v in changes.items() for w in ("--set", f"{k}={v}"))]


def _given(*options: tuple[str, object, object]) -> list[str]:
    """Return the words of options that have not their default: name, value, default."""
    return [w for name, value, no in options if value != no for w in (name, str(value))]
