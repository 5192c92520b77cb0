"""``dfgctl plot weights`` (Fig. 5)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption
from dfgctl.cli.output import reported
from dfgctl.cli.plot.common import DataOption, DatasetOption, OutputOption, check_output, keep
from dfgctl.cli.plot.features import MOST
from dfgctl.cli.plot.opened import Opened, RunArgument, class_numbers, numbers, opened
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from dfgctl.records import Run
    from dfgctl.report.figures import Drawn


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("weights", epilog="Example:  dfgctl plot weights --dataset digits --rho 0,0.75")(
        weights
    )


@reported
def weights(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    rho: Annotated[
        str, typer.Option(help="The values of rho, a row of the figure each.")
    ] = "0.75,0",
    filters: Annotated[
        str | None,
        typer.Option(
            help="Filters, by number. \\[default: the two whose weights differ most between "
            "classes at step 0]"
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Classes, by number or name, with commas. \\[default: the first 10]"),
    ] = None,
    output: OutputOption = None,
    data: DataOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw how DFG's filter weights move through training, for values of rho (Fig. 5).

    At step 0 W is the source's, then the mix of Eq. 7, both before the
    threshold; 1 is the mean over all filters. Runs of one (combination, seed)
    pair are shown, and the spread between classes is measured on all pairs
    that have each rho.
    """
    check_output(output, data)
    values = _values(rho)
    chosen = numbers(filters, "--filters") if filters else None
    found = opened(registry, dataset)
    made = drawn(found, values, found.named(run) if run else None, classes, chosen)
    keep(made, output, data, found.store)


def drawn(
    found: Opened,
    values: Sequence[float] = (0.75, 0.0),
    like: "Run | None" = None,
    classes: str | None = None,
    chosen: "Sequence[int] | None" = None,
) -> "Drawn":
    """Draw the filter weights of one pair, and measure all pairs of its kind.

    Args:
        found: the registry.
        values: values of rho, a row each.
        like: a run of the pair; None for the newest by the recipe.
        classes: classes, by number or name with commas; None for the first ``MOST``.
        chosen: filters, a column each; None for those whose weights differ most.

    Raises:
        NothingToShowError: no pair has runs with all values.
        InputError: there are no such classes or filters, or weights cannot be read.
    """
    from dfgctl.departures import exact
    from dfgctl.report.cards import classes_of
    from dfgctl.report.chosen import pairs, same_kind
    from dfgctl.report.filter_weights import draw

    wanted = {f"dfg.rho={exact(value)}": partial(_has, value) for value in values}
    every = pairs(found.runs, found.recipes, wanted, found.kept, like, without="dfg.rho")
    first = every[0]
    names = classes_of(next(iter(first.values())))
    shown = class_numbers(classes, names) if classes else tuple(range(min(MOST, len(names))))
    if len(shown) > MOST:
        raise InputError(f"{len(shown)} lines cannot be told apart: name {MOST} at the most.")

    from dfgctl.analysis.filters import moves

    if like is not None:
        # Only the pair itself was looked for; the numbers are of all pairs of its kind.
        recipes = {like.spec.dataset: found.recipes[like.spec.dataset]}
        every = pairs(found.runs, recipes, wanted, found.kept, None, without="dfg.rho")
    alike = [p for p in every if same_kind(p, first) and all(map(found.kept, p.values()))]
    others = {
        value: [moves(p[key], found.weights(p[key])) for p in alike]
        for value, key in zip(values, wanted, strict=True)
    }
    rows = [moves(member, found.weights(member)) for member in first.values()]
    made = draw(rows, others, shown, chosen)
    said = [f"Filter weights of DFG, {rows[0].run.spec.dataset}:", *made.said]
    if len(shown) < len(names) and not classes:
        said.append(f"Shown: the first {MOST} of {len(names)} classes; --classes names others.")
    return replace(made, said=said)


def _values(text: str) -> list[float]:
    """Read the values of rho, in the order of the rows.

    Raises:
        InputError: they are none, or out of range.
    """
    try:
        values = list(dict.fromkeys(float(word) for word in text.split(",")))
    except ValueError:
        values = []
    if not values or not all(0 <= value <= 1 for value in values):
        raise InputError(f"--rho takes values from 0 to 1 with commas, e.g. 0.75,0, not '{text}'.")
    return values


def _has(rho: float, run: "Run") -> bool:
    return run.spec.method == "dfg" and float(run.spec.settings["dfg"]["rho"]) == rho
