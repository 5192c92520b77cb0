"""``dfgctl bench``: how fast training is here."""

import contextlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli import bench_view as view
from dfgctl.cli import complete
from dfgctl.cli.names import counted
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    JsonOption,
    MethodsOption,
)
from dfgctl.cli.output import INTERRUPTED, err, escape, note, reported
from dfgctl.errors import DfgctlError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from dfgctl.bench.planning import Choice, Subject
    from dfgctl.bench.records import Job, Row
    from dfgctl.cli.planning import Target

EPILOG = (
    "Examples:  dfgctl bench   |   dfgctl bench svhn --method dfg --pack 1,5,15,45 -o speed.png   "
    "|   dfgctl bench --backbone resnet50 --method original --json   |   "
    "dfgctl bench digits --method dfg --whole"
)

MOST = 1000
"""Runs of a pack at the most."""

SLOW = "ResNet-50 on a CPU: each pack takes some minutes. --rounds 1 is quickest."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", epilog=EPILOG)(bench)


@reported
def bench(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="A recipe's name or file, or a folder of your own pictures: whose settings are "
            "measured. \\[default: digits, or the one that goes with --backbone]",
            autocompletion=complete.targets,
        ),
    ] = None,
    method: MethodsOption = None,
    pack: Annotated[
        str | None,
        typer.Option(help="Pack sizes, with commas: 1,5,45. \\[default: what suits the device]"),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Networks, with commas: lenet5, vgg16, resnet50. \\[default: the recipe's]",
            autocompletion=complete.backbones,
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Precisions, with commas: fp32, tf32, bf16.")
    ] = "fp32",
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda or cuda:i; several with commas.",
            autocompletion=complete.devices,
        ),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. \\[default: PyTorch's choice]")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="Seconds for which each pack's steps are timed, about.")
    ] = 5.0,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of a round instead, rounded up to a method's cycle."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds; their median is reported, and how they scatter.")
    ] = 5,
    eager: Annotated[
        bool, typer.Option("--eager", help="On a GPU, leave out training by CUDA graphs.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting, section.key=value; may be repeated.",
            autocompletion=complete.settings,
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Train a short run as dfgctl run does, and show what a whole one spends its time "
            "on.",
        ),
    ] = False,
    synthetic: Annotated[
        bool,
        typer.Option(
            "--synthetic", help="Random pictures of the right shape, also where the true are here."
        ),
    ] = False,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: Annotated[
        str,
        typer.Option(
            envvar="DFGCTL_REGISTRY",
            help="Beside it lie decoded pictures and checksums; it is not opened.",
        ),
    ] = DEFAULT_REGISTRY,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A chart over the pack size: .png, .svg or .pdf."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure how fast training is: steps, runs in an hour, memory, what the device leaves unused.

    Each pack trains for some seconds in a process of its own, with the recipe's settings and a
    source network of random weights; nothing is kept. Ctrl-C shows what was measured until then.
    """
    from dfgctl.bench.planning import Choice, subject
    from dfgctl.bench.records import Effort
    from dfgctl.registry.engine import home

    if output is not None:
        from dfgctl.report.figures import check_file

        if whole:
            raise InputError("--whole draws no chart: leave -o out.")
        check_file(output)
    folder = home(registry)
    packs = _packs(pack)
    precisions = _split(precision, "--precision")
    names = _split(backbone, "--backbone") if backbone is not None else [None]
    try:
        targets = [_target(dataset, name, folder) for name in names]
        choice = Choice(
            devices=tuple(_devices(device)),
            precisions=tuple(precisions),
            packs=packs,
            eager=eager,
            threads=threads,
            effort=Effort(rounds, seconds, steps),
            data_dir=data_dir,
            folder=folder,
        )
        subjects = [subject(t.recipe, t.info, data_dir, folder, synthetic) for t in targets]
        asked = (subjects, choice, method or [], settings or [])
        if whole:
            _whole(*asked, json)
        else:
            _packs_measured(*asked, output, json)
    except KeyboardInterrupt:
        err().print("Interrupted. Nothing is kept.")
        raise typer.Exit(INTERRUPTED) from None


def _packs_measured(
    subjects: "Sequence[Subject]",
    choice: "Choice",
    methods: Sequence[str],
    settings: Sequence[str],
    output: Path | None,
    json: bool,
) -> None:
    """Measure packs, and show what was found.

    Raises:
        InputError: a name or a setting cannot be.
        DfgctlError: a pack could not be measured, or none.
    """
    from dfgctl.bench.planning import checked, jobs
    from dfgctl.dispatch.notes import idle_settings

    planned: list[Job] = []
    notes: list[str] = []
    for one in subjects:
        found = checked(one, methods, settings, choice.most(one.recipe.backbone))
        planned += jobs(one, found, choice)
        notes += [*([one.note] if one.note else []), *idle_settings(found)]
    if any(job.device == "cpu" and job.runs[0].spec.backbone == "resnet50" for job in planned):
        notes.append(SLOW)
    notes = list(dict.fromkeys(notes))
    for text in notes:
        note(text)
    rows, stopped = _measure(planned)
    view.show_packs(rows, notes, json)
    if output is not None and any(row.seconds_per_step for row in rows):
        from dfgctl.report.speed import draw_speed

        draw_speed(view.panels(rows), output)
        err().print(f"Wrote {escape(str(output))}")
    if stopped:
        err().print(f"Interrupted after {len(rows)} of {counted(len(planned), 'pack')}.")
        raise typer.Exit(INTERRUPTED)
    broken = [row for row in rows if row.status == "failed"]
    if not any(row.status == "ok" for row in rows):
        broken = broken or rows
    if broken:
        first = broken[0]
        raise DfgctlError(
            f"{len(broken)} of {counted(len(rows), 'pack')} could not be measured, the first "
            f"({first.method}, pack of {first.pack}): {first.error}."
        )


def _whole(
    subjects: "Sequence[Subject]",
    choice: "Choice",
    methods: Sequence[str],
    settings: Sequence[str],
    json: bool,
) -> None:
    """Train short runs by a worker, and show what whole ones spend their time on.

    Raises:
        InputError: a name or a setting cannot be, or a data set is not here.
        RunsFailedError: a run failed.
    """
    import torch
    from rich.live import Live

    from dfgctl.bench import whole
    from dfgctl.bench.accounts import Watched
    from dfgctl.bench.planning import check_precisions, checked
    from dfgctl.cli.live import watcher
    from dfgctl.contenders import each
    from dfgctl.dispatch.place import Place

    pack = max(choice.packs or (1,))
    planned = []
    for one in subjects:
        if one.synthetic:
            raise InputError(
                f"--whole trains as dfgctl run does, on true pictures: {one.info.title} must lie "
                "in the folder that --data-dir names, or take digits."
            )
        planned += [(one, checked(one, [name], settings, pack)) for name in each(methods)]
    check_precisions(choice)
    if choice.threads is not None:
        torch.set_num_threads(choice.threads)
    found = []
    err().print("Each method trains short runs twice: to warm up, and to be measured.")
    for (one, asked), device, precision in product(planned, choice.devices, choice.precisions):
        place = Place(torch.device(device), pack, choice.data_dir)
        with watcher(2 * pack) as watch:  # a run to warm up, and the one that is timed
            drawing = [Watched(Live, "refresh", "progress", "step")]
            steps = choice.effort.steps
            found.append(whole.train(one, asked, place, precision, watch, steps, drawing))
    view.show_whole(found, json)


def _split(text: str, option: str) -> list[str]:
    """Read words with commas.

    Raises:
        InputError: one is empty or named twice.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(words) or len(set(words)) != len(words):
        raise InputError(f"{option} takes names with commas, each once, not '{text}'.")
    return words


def _packs(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= MOST for word in words):
        raise InputError(
            f"--pack takes numbers from 1 to {MOST:,} with commas, such as 1,5,45: not '{text}'."
        )
    return tuple(sorted({int(word) for word in words}))


def _target(name: str | None, backbone: str | None, folder: Path) -> "Target":
    """Return the data set that is meant; a network that is named takes the place of its own."""
    from dfgctl import recipe as recipes
    from dfgctl.bench.planning import recipe_of
    from dfgctl.cli.planning import Target, target_of

    if name is None or name in recipes.names():
        return Target(*recipe_of(name, backbone))
    return target_of(name, backbone, None, strict=False).looked_through(folder, keep=True)


def _devices(text: str) -> list[str]:
    from dfgctl.dispatch.place import choose_device

    return list(dict.fromkeys(str(choose_device(word)) for word in _split(text, "--device")))


def _measure(planned: "Sequence[Job]") -> "tuple[list[Row], bool]":
    """Measure packs and say how it goes; return the rows, and whether Ctrl-C cut them short."""
    from dfgctl.bench.processes import measured
    from dfgctl.bench.records import compared

    console = err()
    rows: list[Row] = []
    try:
        with contextlib.closing(measured(planned)) as found:
            for i, job in enumerate(planned, start=1):
                name = f"[{i}/{len(planned)}] {job.title}"
                with _status(console, name):
                    row = next(found)
                rows.append(row)
                if not console.is_terminal:
                    console.print(f"{name}: {view.in_short(row)}", markup=False)
    except KeyboardInterrupt:
        return compared(rows), True
    return compared(rows), False


def _status(console: "Console", name: str) -> "contextlib.AbstractContextManager[Any]":
    if console.is_terminal:
        return console.status(escape(name))
    return contextlib.nullcontext()
