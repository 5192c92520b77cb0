"""``dfgctl report``: one page with all that the registry can show."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    RegistryOption,
    SelectOption,
    open_registry,
)
from dfgctl.cli.output import err, escape, note, reported, whole_file

if TYPE_CHECKING:
    from dfgctl.records import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog="Example:  dfgctl report -o report.html")(report)


@reported
def report(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The page. \\[default: beside the registry]"),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="A data set; may be repeated. \\[default: all]", autocompletion=complete.datasets
        ),
    ] = None,
    select: SelectOption = None,
    published: Annotated[
        bool | None,
        typer.Option(
            "--published/--no-published",
            help="Set the paper's numbers beside ours, judged. \\[default: where it has some]",
        ),
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Write all tables and figures that the registry can feed into one HTML page.

    The page needs nothing beside it and no network. What cannot be shown yet says what to run.
    Figures of single networks (tsne, pca, cam, structure) are left to dfgctl plot.
    """
    from dfgctl import templates
    from dfgctl.cli.flop import known
    from dfgctl.cli.report_parts import page_of
    from dfgctl.errors import NothingToShowError, PartsFailedError
    from dfgctl.report.page.rendering import write
    from dfgctl.report.view import Filters, View

    store = open_registry(registry)
    if store is None:
        raise NothingToShowError(
            "There are no runs yet: train some, e.g. dfgctl run digits, and write the page then."
        )
    every = store.runs()
    recipes = templates.recipes_of(every, dataset or ())
    filters = Filters(tuple(dataset or ()))
    runs = filters.passed(every)
    for text in filters.left_out(runs):
        note(text)
    view = View(
        flop=known(store, runs, count=False),
        runs=runs,
        recipes=recipes,
        select=select,
        published=_has_published(runs) if published is None else published,
        data_dir=data_dir,
        checksums=store.folder / "manifests" / "checksums.json",
    )
    file = output or store.folder / "report.html"
    # Opened first: a place that nothing can be written to is told of before the work.
    with whole_file(file, "name another with -o") as opened:
        page = page_of(view, store, tuple(dataset or ()), published)
        opened.write(write(page))
    err().print(f"Wrote {escape(str(file))}", soft_wrap=True)
    for failure in page.failures:
        err().print(f"[yellow]Failed:[/yellow] {escape(failure)}", soft_wrap=True)
    if page.failures:
        raise PartsFailedError(
            f"{len(page.failures)} of the page's parts failed, which it says in their places: "
            "the commands above show them alone."
        )


def _has_published(runs: "Sequence[Run]") -> bool:
    """Say whether the paper has a number for any of the runs."""
    from dfgctl.report.published import accuracy

    kinds = {(run.spec.dataset, run.spec.method, run.spec.ratio) for run in runs}
    return any(accuracy(*kind) for kind in kinds)
