"""Who may import whom, read from the code; and what starts without torch, seen in a process."""

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import dfgctl

ROOT = Path(dfgctl.__file__).parent

OLDER = Path(__file__).parent / "registry" / "older" / "export-1.jsonl"
FINISHED, FAILED = (
    run["id"]
    for run in (json.loads(line)["data"] for line in OLDER.read_text("utf-8").splitlines())
    if run.get("status") in ("finished", "failed") and run["spec"]["method"] == "finetune"
)
OTHER = "--registry other.sqlite"

LAYERS = {
    5: ("cli", "__main__"),
    4: ("dispatch", "report", "registry", "analysis", "doctor", "bench", "tuning"),
    3: (
        *("training", "measuring", "pretraining", "inference", "checkpoints"),
        *("evaluation", "events", "lookup", "state", "stepping"),
    ),
    2: ("methods",),
    1: (
        *("recipe", "setting_keys", "templates", "plugins", "pack", "networks", "losses"),
        "rival_losses",
        *("attention", "clock", "data", "devices", "draws", "metrics", "memory", "numerics"),
        *("phases", "departures", "fragments"),
    ),
    0: (
        *(
            "contenders",
            "records",
            "errors",
            "seeding",
            "settings",
            "provenance",
            "processor",
            "ledger",
        ),
        "__init__",
    ),
}
LAYER = {room: layer for layer, rooms in LAYERS.items() for room in rooms}


def modules() -> dict[str, ast.Module]:
    """Return all of the program's modules, parsed, by their dotted names."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__") or "dfgctl"] = ast.parse(path.read_text())
    return found


MODULES = modules()


@cache
def imports(module: str) -> frozenset[str]:
    """Return what a module imports anywhere in it, functions included, as dotted names.

    What only type checkers see counts as well, so that no cycle hides there.
    """
    found: set[str] = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            assert node.module is not None
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in MODULES else node.module)
    return frozenset(found)


def room(module: str) -> str:
    """Return the room of the house that a module is in."""
    return module.split(".")[1] if "." in module else "__init__"


def closure(start: str) -> dict[str, str]:
    """Return all modules that a module leads to, each with one that imports it."""
    via: dict[str, str] = {}
    left = [start]
    while left:
        module = left.pop()
        for name in imports(module):
            if name not in via:
                via[name] = module
                if name in MODULES:
                    left.append(name)
    return via


def of(name: str) -> list[str]:
    """Return the modules of a room."""
    return [m for m in MODULES if room(m) == name]


def outside(module: str) -> set[str]:
    """Return the other packages that a module imports."""
    return {name.partition(".")[0] for name in imports(module)} - {"dfgctl"}


def test_every_room_has_its_place() -> None:
    assert {room(m) for m in MODULES} <= set(LAYER)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    own = room(module)
    for name in imports(module):
        if name not in MODULES or room(name) in (own, "__init__"):
            continue
        assert LAYER[room(name)] <= LAYER[own], f"{module} imports {name}"


@pytest.mark.parametrize("start", MODULES)
def test_no_room_leads_back_to_itself(start: str) -> None:
    for name, via in closure(start).items():
        if name in MODULES and room(name) == room(start):
            assert room(via) == room(start), f"{start} leads to {via}, and that to {name}"


@pytest.mark.parametrize("module", [*of("registry"), *of("report")])
def test_registry_and_report_never_lead_to_torch(module: str) -> None:
    via = closure(module)
    packages = {name.partition(".")[0]: who for name, who in via.items()}
    for package in ("torch", "torchvision", "safetensors"):
        assert package not in packages, f"{packages.get(package)} imports {package}"


@pytest.mark.parametrize("module", of("report"))
def test_report_never_leads_to_sqlalchemy(module: str) -> None:
    via = closure(module)
    for name, who in via.items():
        assert name.partition(".")[0] not in ("sqlalchemy", "alembic"), who
        assert room(name) != "registry" if name in MODULES else True, who


def test_only_the_registry_knows_the_database() -> None:
    knowing = {room(m) for m in MODULES if outside(m) & {"sqlalchemy", "alembic", "sqlite3"}}
    assert knowing == {"registry"}


def test_records_and_errors_need_the_standard_library_only() -> None:
    for module in ("dfgctl.records", "dfgctl.errors"):
        assert outside(module) <= sys.stdlib_module_names


def test_methods_never_import_each_other() -> None:
    names = ("base", "decoupled", "regulariser")
    shared = {"dfgctl.methods", *(f"dfgctl.methods.{name}" for name in names)}
    methods = [m for m in of("methods") if m not in shared]
    assert len(methods) >= 4
    for module in of("methods"):
        assert not imports(module) & set(methods), module


def test_only_the_command_line_prints_or_exits() -> None:
    for module, tree in MODULES.items():
        if room(module) in ("cli", "__main__"):
            continue
        assert not outside(module) & {"typer", "rich", "click", "logging"}, module
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in (
                    "print",
                    "exit",
                    "quit",
                    "input",
                    "sys.exit",
                    "os._exit",
                    "sys.stdout.write",
                    "sys.stderr.write",
                ), f"{module}, line {node.lineno}"


def test_commands_that_touch_no_pixels_start_without_torch(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from dfgctl.cli import app\n"
        "from dfgctl.registry import Registry\n"
        "Registry('own.sqlite').close()\n"
        "found = {}\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    code = CliRunner().invoke(app, words).exit_code\n"
        "    found[' '.join(words)] = [code, 'torch' in sys.modules]\n"
        "print(json.dumps(found))\n"
    )
    commands = {
        "--help": 0,
        "--version": 0,
        "run --help": 0,
        "recipe list": 0,
        "recipe show digits": 0,
        "data list": 0,
        "data verify digits": 0,
        "runs list": 0,
        "runs show abc": 2,
        f"runs import {OLDER} {OTHER}": 0,
        f"runs list {OTHER}": 0,
        f"runs show {FINISHED} {OTHER}": 0,
        f"runs compare {FINISHED} {FAILED} {OTHER}": 0,
        f"runs logs {FINISHED} {OTHER}": 2,
        f"runs export - {OTHER}": 0,
        f"runs retry {FAILED} {OTHER}": 0,
        f"runs cancel {FAILED} {OTHER}": 0,
        f"runs rm {FAILED} --yes {OTHER}": 0,
        "table": 2,
        "table frontier": 2,
        "plot rho": 2,
        "plot frontier": 2,
        "plot tsne": 2,
        "plot cam": 2,
        "plot weights": 2,
        "report": 2,
        "plot curves": 2,
        "plot confusion": 2,
        "plot combinations": 2,
        "plot structure nothing": 2,
        "run nothing": 2,
        "run digits --dry-run": 0,
        "run digits --tuned --method original --dry-run": 2,
        "tune nothing": 2,
        "tune digits --show --method original": 2,
        "db info --registry own.sqlite": 0,
        "db upgrade --registry own.sqlite": 0,
        "db backup copy.sqlite --registry own.sqlite": 0,
        "gc --dry-run --registry own.sqlite": 0,
        "gc": 2,
        "doctor --help": 0,
        "run digits --launcher dry-run": 0,
        "bench --help": 0,
        "bench nothing": 2,
        "bench --pack x": 2,
    }
    words = json.dumps([c.split() for c in commands])
    path = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert json.loads(done.stdout) == {c: [code, False] for c, code in commands.items()}


def test_a_true_process_tells_its_help_without_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dfgctl", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "dfgctl.cli.app" in names
    assert not names & {"torch", "torchvision", "sqlalchemy", "pandas", "matplotlib", "sklearn"}


def test_reports_start_without_what_takes_long_to_import() -> None:
    code = (
        "import sys, dfgctl.report.figures, dfgctl.report.results, dfgctl.report.rendering;"
        "import dfgctl.registry.store;"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    late = {"torch", "pandas", "matplotlib", "sqlalchemy.dialects.postgresql"}
    assert not late & set(done.stdout.split())


def test_what_an_optimiser_imports_is_there_before_a_run_begins() -> None:
    code = (
        "import sys, dfgctl.training, torch; before = set(sys.modules);"
        "torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True);"
        "print(len(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10  # of hundreds, which take a second or two
