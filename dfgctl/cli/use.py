"""``dfgctl predict`` and ``dfgctl export``: use what was trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.names import counted
from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, open_registry
from dfgctl.cli.output import err, escape, reported, write_file
from dfgctl.errors import DataCorruptError, InputError

if TYPE_CHECKING:
    from dfgctl.inference import Classifier

RunArgument = Annotated[
    str,
    typer.Argument(help="The run's id, or the start of it.", autocompletion=complete.finished_runs),
]
CHUNK = 64
"""Pictures that are classified at a time."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("predict", epilog="Example:  dfgctl predict 3f9a ./pictures -o probabilities.csv")(
        predict
    )
    app.command(
        "export",
        epilog="Examples:  dfgctl export 3f9a -o model.safetensors   |   "
        "dfgctl export 3f9a -o model.onnx",
    )(export)


@reported
def predict(
    run: Annotated[
        str,
        typer.Argument(
            help="The run's id, or the start of it, or a file that export wrote.",
            autocompletion=complete.finished_runs,
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="A folder of pictures, or one picture.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the CSV to this file.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at broken pictures instead of leaving them out.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:i.", autocompletion=complete.devices)
    ] = "auto",
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Classify pictures by a finished run: the probability of each class, as CSV."""
    import csv
    import io

    import torch

    from dfgctl.data.pictures import in_folder, read_all
    from dfgctl.dispatch.place import choose_device

    place = choose_device(device)
    files = in_folder(folder)
    classifier = _classifier(run, registry).to(place)
    card = classifier.card
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "predicted", *card.classes])
    broken = []
    for start in range(0, len(files), CHUNK):
        found, pixels, bad = read_all(files[start : start + CHUNK], card.view(), strict)
        broken += bad
        if not found:
            continue
        for file, p in zip(
            found, classifier.probabilities(torch.from_numpy(pixels).to(place)).cpu(), strict=True
        ):
            name = file.relative_to(folder) if folder.is_dir() else file
            rows.writerow([name, card.classes[int(p.argmax())], *(f"{x:.6f}" for x in p.tolist())])
    if broken:
        names = ", ".join(str(f) for f in broken[:5]) + (" and more" if len(broken) > 5 else "")
        if len(broken) == len(files):
            raise DataCorruptError(f"No picture could be decoded ({names}): name whole ones.")
        left_out = counted(len(broken), "broken picture")
        err().print(f"Left out {left_out}: {escape(names)}.", soft_wrap=True)
    if output is not None:
        write_file(output, text.getvalue())
    else:
        typer.echo(text.getvalue().rstrip("\n"))


@reported
def export(
    run: RunArgument,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The file: .safetensors, or .onnx (an extra)."),
    ],
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Write a finished run's classifier, with a JSON of its classes and preprocessing beside it."""
    import json

    from dfgctl.inference import description, save, save_onnx

    if output.suffix not in (".safetensors", ".onnx"):
        raise InputError(f"'{output}' is neither: name a file .safetensors or .onnx with -o.")
    classifier = _classifier(run, registry)
    output.parent.mkdir(parents=True, exist_ok=True)
    (save if output.suffix == ".safetensors" else save_onnx)(classifier, output)
    err().print(f"Wrote {escape(str(output))}")
    described = json.dumps(description(classifier), indent=2, ensure_ascii=False)
    write_file(output.with_suffix(".json"), described + "\n")


def _classifier(name: str, where: str) -> "Classifier":
    """Load a run's classifier, or one that was exported."""
    from dfgctl.inference import load, of_run
    from dfgctl.report.cards import classes_of

    if name.endswith(".safetensors"):
        return load(Path(name))
    if name.endswith(".onnx"):
        raise InputError(f"{name} is for other programs: export the run as .safetensors, too.")
    store = open_registry(where)
    if store is None:
        raise InputError(f"There is no run '{name}': there is no registry at {where} yet.")
    run = store.find(name)
    if run.metrics is None:
        raise InputError(f"Run {name} is {run.status}, not finished: choose one that is.")
    weights = store.folder / "weights" / f"{run.id}.{run.result_attempt}.safetensors"
    return of_run(run, weights, classes_of(run))
