"""What the shell offers, asked for as bash, zsh and fish ask."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filled import Filled, fill
from specs import spec
from typer.testing import CliRunner

from dfgctl import recipe, setting_keys
from dfgctl.cli import app, complete
from dfgctl.contenders import BUILT_IN
from dfgctl.data.catalog import DATASETS
from dfgctl.records import PRECISIONS, STATUSES, PlannedRun
from dfgctl.registry import Registry

FILE = "results/registry.sqlite"
Offered = Callable[..., list[str]]


@pytest.fixture
def offered() -> Offered:
    """Ask as bash does: all words, the last one being typed."""

    def ask(*words: str) -> list[str]:
        typed = ("dfgctl", *words)
        done = CliRunner().invoke(
            app,
            [],
            prog_name="dfgctl",
            env={
                "_DFGCTL_COMPLETE": "complete_bash",
                "COMP_WORDS": "\n".join(typed),
                "COMP_CWORD": str(len(typed) - 1),
            },
        )
        assert done.stderr == ""
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []

    return ask


@pytest.fixture
def made() -> Iterator[Filled]:
    """The default registry with a run in every state."""
    filled = fill(FILE)
    yield filled
    filled.registry.close()


def test_commands_are_offered(offered: Offered) -> None:
    assert set(offered("d")) == {"data", "db", "doctor"}
    assert set(offered("db", "")) == {"info", "upgrade", "backup"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("data", "fetch", ""), list(DATASETS)),
        (("data", "verify", "cif"), ["cifar10"]),
        (("recipe", "show", ""), recipe.names()),
        (("recipe", "show", "f"), ["fmnist", "food101"]),
        (("recipe", "new", "x", "--backbone", ""), ["lenet5", "vgg16", "resnet50"]),
        (("table", "b"), ["balanced", "blocks"]),
        (("table", "--dataset", "s"), ["stl10", "svhn"]),
        (("table", "--format", ""), ["rich", "md", "latex", "csv", "json", "html"]),
        (("table", "--select", ""), ["last", "best", "val"]),
        (("plot", "rho", "--dataset", "d"), ["digits"]),
        (("predict", "x", "y", "--device", ""), ["auto", "cpu"]),
    ],
)
def test_closed_choices_are_offered(
    offered: Offered, words: tuple[str, ...], expected: list[str]
) -> None:
    found = offered(*words)
    assert [w for w in found if not w.startswith("cuda")] == expected


def test_run_ids_are_offered_short_the_newest_first(offered: Offered, made: Filled) -> None:
    newest = [run.id for run in reversed(made.registry.runs())]
    assert offered("ledger", "") == [run_id[:10] for run_id in newest]
    assert offered("ledger", newest[3][:4]) == [newest[3][:10]]
    assert offered("ledger", newest[3][:20]) == [newest[3]]
    finished = {made.id(state)[:10] for state in ("finished", "forced")}
    assert set(offered("export", "")) == set(offered("predict", "")) == finished


def test_the_registry_that_was_typed_or_set_is_asked(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("own.sqlite").registry.close()
    assert offered("ledger", "") == []
    found = offered("ledger", "--registry", "own.sqlite", "")
    assert len(found) == 7
    monkeypatch.setenv("DFGCTL_REGISTRY", "own.sqlite")
    assert offered("ledger", "") == found


def test_data_sets_of_the_registry_are_offered_beside_those_of_recipes(
    offered: Offered, made: Filled
) -> None:
    from dataclasses import replace

    run = made.runs["queued"]
    made.registry.enqueue([replace(run, spec=replace(run.spec, dataset="mine"))])
    assert offered("table", "--dataset", "m") == ["mine"]


@pytest.mark.parametrize("make", ["nothing", "text", "foreign", "folder", "server"])
def test_whatever_the_registry_is_nothing_is_said_made_or_changed(
    offered: Offered, make: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "r.sqlite"
    if make == "text":
        file.write_text("no registry " * 100)
    elif make == "foreign":
        file.write_bytes(b"")
    elif make == "folder":
        file.mkdir()
    where = "postgresql://127.0.0.1:1/none" if make == "server" else "r.sqlite"
    monkeypatch.setenv("DFGCTL_REGISTRY", where)
    before = sorted(tmp_path.rglob("*"))
    content = file.read_bytes() if file.is_file() else None
    assert offered("ledger", "") == []
    assert offered("table", "--dataset", "dig") == ["digits"]
    assert sorted(tmp_path.rglob("*")) == before
    assert (file.read_bytes() if file.is_file() else None) == content


def test_a_registry_is_read_without_a_trace(offered: Offered) -> None:
    fill(FILE).registry.close()
    folder = Path("results")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert len(offered("ledger", "")) == 7
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


# What commands use that are still to be told of it


class Context:
    """As much of typer's context as is looked at."""

    def __init__(self, **params: Any) -> None:
        self.params = params


def words(offer: Callable[..., Any], incomplete: str = "", **params: Any) -> list[str]:
    return [word for word, _ in offer(Context(**params), incomplete)]


def test_keys_of_settings_are_offered_and_values_where_there_are_few() -> None:
    every = words(complete.settings)
    assert {f"{key}=" for key in setting_keys.described()} < set(every)
    assert list(setting_keys.described()) == recipe.keys()
    assert words(complete.settings, "dfg.rh") == ["dfg.rho="]
    assert words(complete.settings, "fidelity.F05") == ["fidelity.F05="]
    assert words(complete.settings, "fidelity.F05=") == [
        "fidelity.F05=paper",
        "fidelity.F05=released",
    ]
    assert words(complete.settings, "fidelity.F05=r") == ["fidelity.F05=released"]
    assert words(complete.settings, "dfg.rho=") == []
    assert all(says for _, says in complete.settings(Context(), "dfg."))  # type: ignore[arg-type]


def test_other_choices_are_those_of_the_program() -> None:
    assert words(complete.methods) == list(BUILT_IN)
    assert words(complete.several_methods) == [*BUILT_IN, "paper", "rivals", "all"]
    assert words(complete.statuses) == list(STATUSES)
    assert words(complete.protocols) == ["paper", "released"]
    assert words(complete.precisions) == list(PRECISIONS)
    assert words(complete.splits) == ["block1", "block2", "block3", "block4"]
    assert words(complete.launchers) == ["local", "slurm", "dry-run"]
    assert words(complete.sources) == [n for n, i in DATASETS.items() if "source" in i.roles]


def test_methods_of_the_registry_are_offered(made: Filled) -> None:
    from dataclasses import replace

    run = made.runs["queued"]
    made.registry.enqueue([replace(run, spec=replace(run.spec, method="mine"))])
    assert set(words(complete.methods)) == {*BUILT_IN, "mine"}


def test_runs_are_offered_by_what_can_be_done_with_them(made: Filled) -> None:
    def ids(*states: str) -> set[str]:
        return {made.id(state)[:10] for state in states}

    assert set(words(complete.retriable_runs)) == ids("failed", "diverged", "cancelled")
    assert set(words(complete.pending_runs)) == ids("queued", "running")
    assert set(words(complete.runs, registry=FILE)) == ids(*made.runs)


def test_targets_are_recipes_files_and_folders(tmp_path: Path) -> None:
    assert words(complete.targets) == recipe.names()
    (tmp_path / "dogs" / "train").mkdir(parents=True)
    (tmp_path / "dogs.toml").touch()
    (tmp_path / "dogs.txt").touch()
    assert words(complete.targets, "d") == ["digits", "dogs/", "dogs.toml"]
    assert words(complete.targets, "./do") == ["./dogs/", "./dogs.toml"]
    assert words(complete.targets, "dogs/") == ["dogs/train/"]
    assert words(complete.targets, "not/there") == []


@pytest.mark.parametrize(
    ("shell", "line", "says"),
    [
        ("zsh", "dfgctl recipe show fm", 'fmnist"'),
        ("fish", "dfgctl recipe show fm", "fmnist"),
        ("bash", "dfgctl recipe show fm", "fmnist\n"),
    ],
)
def test_true_processes_answer_every_shell_without_torch(shell: str, line: str, says: str) -> None:
    code = (
        "import atexit, sys\n"
        "bad = ('torch', 'sqlalchemy', 'pandas', 'matplotlib')\n"
        "atexit.register(lambda: print([m for m in bad if m in sys.modules], file=sys.stderr))\n"
        "from dfgctl.cli import main; main()\n"
    )
    fill(FILE).registry.close()
    ids = "" if shell == "bash" else "digits finetune, finished"  # bash shows words only
    for typed, expected in ((line, says), ("dfgctl ledger ", ids)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "_DFGCTL_COMPLETE": f"complete_{shell}",
                "COMP_WORDS": typed,
                "COMP_CWORD": str(len(typed.split(" ")) - 1),
                "_TYPER_COMPLETE_ARGS": typed,
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
        )
        assert done.stderr == "[]\n"
        assert done.returncode == 0
        assert expected in done.stdout


def test_contenders_with_runs_are_offered(offered: Offered, tmp_path: Path) -> None:
    where = tmp_path / "own" / "r.sqlite"
    registry = Registry(str(where))
    source = {"source": "glyphs", "source_identity": "5" * 64}
    specs = [
        *(spec("dfg", **source), spec("balanced"), spec("crt")),
        *(spec(m, own={"init": "source"}, **source) for m in ("balanced", "smote")),
    ]
    registry.enqueue([PlannedRun(one, (80,) * 10) for one in specs])
    registry.close()
    asked = ("table", "pairs", "--registry", str(where), "--against")
    assert offered(*asked, "") == ["balanced", "balanced/source", "crt", "dfg", "smote/source"]
    assert offered(*asked, "balanced/") == ["balanced/source"]
    assert offered("table", "pairs", "--registry", "nowhere.sqlite", "--against", "") == []
