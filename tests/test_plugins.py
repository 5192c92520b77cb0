"""A method of one's own: found, refused, planned, trained, stored and shown like ours."""

import hashlib
import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import own_method
import pytest
import torch
from typer.testing import CliRunner

from dfgctl import plugins
from dfgctl.cli import app
from dfgctl.contenders import METHODS
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, manifest
from dfgctl.departures import departures
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch import request as requests
from dfgctl.dispatch.plan import Plan
from dfgctl.errors import InputError, SettingError, UnknownNameError
from dfgctl.events import Done, Evaluated
from dfgctl.lookup import backbone_of, method_of
from dfgctl.settings import DfgSettings, OriginalSettings
from dfgctl.training import Trainer, train

OWN = "own_method:BalancedDemo"
CPU = torch.device("cpu")
SMALLEST = """
from dfgctl.settings import TrainingSettings

class Settings(TrainingSettings):
    steps: int = 5
    batch_size: int = 4

class Mine:
    name = "mine"
    Settings = Settings

    def step(self, step): ...
"""
Write = Callable[..., str]


@pytest.fixture(autouse=True)
def _imports_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what a test imports, and where from."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in [n for n in sys.modules if n.startswith("mine_") and n not in before]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a module into the current folder; returns its class as ``--method`` takes it."""

    def make(name: str = "mine_module", text: str = SMALLEST) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return f"{name}:Mine"

    return make


def smallest(old: str, new: str) -> str:
    """Return SMALLEST with a line of its class replaced."""
    assert old in SMALLEST
    return SMALLEST.replace(old, new)


SETTINGS = "    Settings = Settings"


@dataclass(frozen=True)
class Point:
    """An installed package's entry point."""

    name: str
    value: str


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put entry points in the place of those that are installed."""

    def put(*points: Point) -> None:
        def entry_points(group: str) -> tuple[EntryPoint, ...]:
            made = tuple(EntryPoint(point.name, point.value, group) for point in points)
            return made if group == "dfgctl.methods" else ()

        monkeypatch.setattr(plugins, "entry_points", entry_points)

    return put


# Found


@pytest.mark.parametrize("name", METHODS)
def test_ours_are_found_by_name_and_hold_no_code(name: str) -> None:
    info = plugins.find(name)
    assert (info.name, info.title) == (name, METHODS[name])
    assert info.sections[0] == name
    assert info.needs_source == (name != "original")
    assert info.code == {}


def test_settings_of_ours_are_the_recipes_own() -> None:
    assert plugins.find("dfg").settings is DfgSettings
    assert plugins.find("original").settings is OriginalSettings


def test_ones_own_is_found_in_the_current_folder(write: Write) -> None:
    info = plugins.find(write(text=smallest(SETTINGS, f"{SETTINGS}\n    title = 'My own'")))
    assert (info.name, info.title, info.sections) == ("mine", "My own", ("mine",))
    assert info.needs_source
    assert info.code["class"] == "mine_module:Mine"
    assert info.code["defaults"] == {"steps": 5, "batch_size": 4}


def test_ones_own_is_found_in_a_package(tmp_path: Path, write: Write) -> None:
    (tmp_path / "mine_package").mkdir()
    (tmp_path / "mine_package" / "__init__.py").write_text("")
    write("mine_package/inner")
    assert plugins.find("mine_package.inner:Mine").name == "mine"


def test_ones_own_is_found_by_its_entry_point(installed: Callable[..., None]) -> None:
    installed(Point("evenly", OWN))
    assert plugins.find("evenly") == plugins.find(OWN)
    with pytest.raises(UnknownNameError, match="did you mean 'evenly'"):
        plugins.find("evenl")


def test_no_entry_point_takes_the_place_of_ours(installed: Callable[..., None]) -> None:
    installed(Point("dfg", OWN))
    assert plugins.find("dfg").settings is DfgSettings


def test_the_example_is_described_by_its_class() -> None:
    info = plugins.find(OWN)
    assert (info.name, info.title) == ("balanced_demo", "Balanced batches")
    assert info.settings is own_method.BalancedSettings
    assert not info.needs_source
    content = Path(own_method.__file__).read_bytes()
    assert info.code["sha256"] == hashlib.sha256(content).hexdigest()


# Refused


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mine_nowhere:Mine", "No module named 'mine_nowhere'"),
        ("own_method:Balanced", "has no attribute 'Balanced'"),
        ("own_method:", "cannot be imported"),
        (":BalancedDemo", "cannot be imported"),
        ("own_method:Field", "no class with a method step"),
        ("own_method:BalancedSettings", "no class with a method step"),
    ],
)
def test_what_is_no_class_with_a_step_is_refused(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        plugins.find(name)


def test_a_module_without_a_class_is_an_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="Unknown method 'own_method'"):
        plugins.find("own_method")


def test_code_that_raises_is_named_with_what_it_raised(write: Write) -> None:
    path = write(text="raise ZeroDivisionError('of a\\n kind')")
    with pytest.raises(InputError, match=r"mine_module:Mine .*ZeroDivisionError: of a kind"):
        plugins.find(path)


NAME, STEP = '    name = "mine"', "    def step(self, step): ..."


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        (NAME, "    name = 'dfg'", "its name 'dfg' is taken"),
        (NAME, "    name = 'reg'", "its name 'reg' is taken"),
        (NAME, "    name = 'fidelity'", "its name 'fidelity' is taken"),
        (NAME, "    name = 'run'", "its name 'run' is taken"),
        (NAME, "    name = 'all'", "its name 'all' is taken"),
        (NAME, "    name = 'My-own'", "lower-case letters"),
        (NAME, "    name = 'mine\\n'", "lower-case letters"),
        (NAME, "    name = 3", "lower-case letters"),
        (NAME, "", "lower-case letters"),
        (SETTINGS, "    Settings = dict", "subclass of TrainingSettings"),
        (SETTINGS, "    Settings = Settings()", "subclass of TrainingSettings"),
        (SETTINGS, "", "subclass of TrainingSettings"),
        ("    steps: int = 5", "", "setting 'steps' has no valid default"),
        (SETTINGS, f"{SETTINGS}\n    sections = ('dfg',)", "the section 'dfg'"),
        (STEP, "    step = None", "no class with a method step"),
    ],
)
def test_a_class_that_is_no_method_is_refused_with_the_reason(
    write: Write, old: str, new: str, hint: str
) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        plugins.find(write(text=smallest(old, new)))
    assert str(caught.value).startswith("mine_module:Mine is no method: ")


# Code


def test_a_run_is_trained_with_the_code_that_it_was_planned_with(write: Write) -> None:
    planned = plugins.find(write()).code
    assert plugins.load_for(planned).name == "mine"
    write(text=SMALLEST + "# changed\n")
    with pytest.raises(InputError, match="code of mine_module:Mine has changed"):
        plugins.load_for(planned)


def test_code_that_is_gone_is_named(write: Write, tmp_path: Path) -> None:
    planned = plugins.find(write()).code
    (tmp_path / "mine_module.py").unlink()
    del sys.modules["mine_module"]
    importlib.invalidate_caches()
    with pytest.raises(InputError, match="No module named 'mine_module'"):
        plugins.load_for(planned)


# Planned


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    """Plan runs of digits as ``dfgctl run digits`` with these options does."""
    cache = ChecksumCache(Path("nowhere.json"))
    target, source = (manifest(DATASETS[n], Path("data"), cache) for n in ("digits", "glyphs"))

    def make(*methods: str, **options: Any) -> Plan:
        request = requests.Request("digits", methods=methods or (OWN,), **options)
        return plans.make(requests.check(request), target, source)

    return make


def test_the_identity_holds_settings_and_code(make_plan: Callable[..., Plan]) -> None:
    (run,) = make_plan(repeats=1).runs
    spec = run.spec
    assert (spec.method, spec.steps, spec.source) == ("balanced_demo", 600, None)
    assert spec.settings["balanced_demo"]["lr"] == 0.01
    assert set(spec.settings) == {"balanced_demo", "code"}
    assert spec.settings["code"] == plugins.find(OWN).code
    json.dumps(dict(spec.settings))


def test_changed_code_is_another_run(make_plan: Callable[..., Plan], write: Write) -> None:
    path = write()
    ids = [make_plan(path, repeats=1).runs[0].id for _ in range(2)]
    write(text=SMALLEST + "# changed\n")
    changed = make_plan(path, repeats=1).runs[0].id
    assert ids[0] == ids[1] != changed


def test_ones_own_settings_are_set_and_swept(make_plan: Callable[..., Plan]) -> None:
    sweep = ("balanced_demo.lr=0.001,0.01",)
    plan = make_plan("original", OWN, repeats=1, settings=sweep)
    assert [r.spec.method for r in plan.runs] == ["original", "balanced_demo", "balanced_demo"]
    original, low, usual = plan.runs
    assert [r.sweep for r in plan.runs] == [
        {},
        {"balanced_demo.lr": 0.001},
        {"balanced_demo.lr": 0.01},
    ]
    plain = make_plan("original", OWN, repeats=1)
    assert [r.id for r in plain.runs] == [original.id, usual.id]
    assert plan.notes == plain.notes
    assert departures(plan.recipe, low.spec.settings) == ["balanced_demo.lr=0.001"]
    assert departures(plan.recipe, usual.spec.settings) == []


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("balanced_demo.rate=1", "did you mean 'balanced_demo.lr'"),
        ("balanced_demo.lr=-1", "greater than 0.* It is: learning rate"),
        ("balanced_demo.steps=3", "use --steps"),
    ],
)
def test_ones_own_settings_are_checked(
    make_plan: Callable[..., Plan], setting: str, hint: str
) -> None:
    with pytest.raises(SettingError, match=hint):
        make_plan(settings=(setting,))


def test_ones_own_settings_are_unknown_where_the_method_is_not_chosen(
    make_plan: Callable[..., Plan],
) -> None:
    with pytest.raises(SettingError, match=r"Unknown setting 'balanced_demo\.lr'"):
        make_plan("original", settings=("balanced_demo.lr=0.1",))


def test_sections_and_switches_that_it_does_not_read_are_named(
    make_plan: Callable[..., Plan],
) -> None:
    plan = make_plan(repeats=1, settings=("reg.alpha=1", "fidelity.F05=released"))
    plain = make_plan(repeats=1)
    assert plan.runs[0].id == plain.runs[0].id
    assert set(plan.notes) - set(plain.notes) == {
        "--set reg.alpha touches none of the chosen methods.",
        "--set fidelity.F05 touches none of the chosen methods.",
    }


def test_shared_sections_that_it_reads_are_part_of_its_identity(
    make_plan: Callable[..., Plan], write: Write
) -> None:
    path = write(
        text=smallest(SETTINGS, f"{SETTINGS}\n    sections = ('reg',)\n    needs_source = False")
    )
    (plain,) = make_plan(path, repeats=1).runs
    (changed,) = make_plan(path, repeats=1, settings=("reg.alpha=1",)).runs
    assert plain.spec.settings["reg"]["alpha"] == 0.01
    assert plain.id != changed.id
    assert plugins.sections_of(plain.spec.settings, "mine") == ("mine", "reg")


def test_one_that_needs_a_source_gets_one(make_plan: Callable[..., Plan], write: Write) -> None:
    plan = make_plan(write(), repeats=1)
    (run,), (source,) = plan.runs, plan.sources
    assert run.spec.source == "glyphs"
    assert run.spec.source_identity == source.identity()
    assert make_plan(repeats=1).sources == ()


def test_two_methods_of_one_name_are_refused(make_plan: Callable[..., Plan], write: Write) -> None:
    first, second = write("mine_first"), write("mine_second", text=SMALLEST + "# another\n")
    with pytest.raises(InputError, match="mine"):
        make_plan(first, second, repeats=1)


# Trained


def test_it_is_trained_end_to_end(make_plan: Callable[..., Plan], digits: ImageArrays) -> None:
    (run,) = make_plan(repeats=1, steps=40, eval_every=20).runs
    assert method_of(run.spec) is own_method.BalancedDemo
    *events, done = train([run.spec], [run.class_counts], digits, None, CPU)
    losses = [e.measurements[0].losses for e in events if isinstance(e, Evaluated)]
    assert [set(each) for each in losses] == [set(), {"loss"}, {"loss"}]
    assert losses[2]["loss"] < losses[1]["loss"]
    assert isinstance(done, Done)
    assert set(done.weights[0]) == set(backbone_of(run.spec).expected(10))
    assert 0 < done.metrics[0].accuracy_last < 1


def test_a_pack_of_it_equals_two_singles(
    make_plan: Callable[..., Plan], digits: ImageArrays
) -> None:
    runs = make_plan(repeats=2, steps=3).runs
    digits = replace(digits, test=digits.test[:30], test_labels=digits.test_labels[:30])

    def weights(*members: int) -> Any:
        chosen = [runs[i] for i in members]
        specs, counts = [r.spec for r in chosen], [r.class_counts for r in chosen]
        *_, done = train(specs, counts, digits, None, CPU, torch.float64)
        return done.weights

    packed = weights(0, 1)
    for r in range(2):
        for name, value in weights(r)[0].items():
            torch.testing.assert_close(packed[r][name], value, rtol=1e-7, atol=1e-9)


def test_it_is_paired_with_ours_and_its_batches_are_balanced(
    make_plan: Callable[..., Plan], digits: ImageArrays
) -> None:
    ours, own = make_plan("original", OWN, repeats=1).runs
    assert (ours.spec.combination, ours.spec.seed) == (own.spec.combination, own.spec.seed)
    assert ours.class_counts == own.class_counts
    batches = [
        Trainer([r.spec], [r.class_counts], digits, None, CPU, torch.float32).method.batches
        for r in (ours, own)
    ]
    assert batches[0].run_keys == batches[1].run_keys
    assert batches[0].subsets[0].tolist() == batches[1].subsets[0].tolist()
    assert all(torch.equal(*pair) for pair in zip(*(b.draw(1, 0) for b in batches), strict=True))

    def frequencies(draw: Callable[[int, int], Any]) -> list[float]:
        drawn = torch.cat([draw(step, 0)[1].flatten() for step in range(60)]).tolist()
        return [Counter(drawn)[c] / len(drawn) for c in range(10)]

    major = set(ours.spec.combination)
    plain, balanced = frequencies(batches[0].draw), frequencies(batches[1].draw_balanced)
    for c in range(10):
        assert plain[c] == pytest.approx(80 / 224 if c in major else 8 / 224, abs=0.05)
        assert balanced[c] == pytest.approx(0.1, abs=0.03)


# On the command line


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def cli(*words: object) -> Result:
    """Run a command; what escapes it as an exception is raised."""
    result = CliRunner().invoke(app, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


def test_the_command_line_trains_stores_and_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    words = ("run", "digits", "--method", OWN, "--method", "original", "--steps", "3")
    trained = cli(*words, "--repeats", "1", "--device", "cpu", "--json")
    assert trained.code == 0, trained.err
    ours, own = json.loads(trained.out)
    assert [ours["method"], own["method"]] == ["original", "balanced_demo"]
    assert {ours["status"], own["status"]} == {"finished"}
    assert ours["combination"] == own["combination"]
    assert (Path("results") / "weights" / f"{own['id']}.1.safetensors").is_file()

    listed = cli("runs", "list", "--method", "balanced_demo", "--json")
    assert [r["id"] for r in json.loads(listed.out)] == [own["id"]]

    shown = json.loads(cli("runs", "show", own["id"], "--json").out)
    assert shown["settings"]["code"]["class"] == OWN
    assert shown["measurements"][-1]["losses"].keys() == {"loss"}
    assert f"--method {OWN}" in shown["command"]
    again = cli(*shown["command"].split()[1:], "--device", "cpu", "--json")
    assert [r["id"] for r in json.loads(again.out)] == [own["id"]]
    assert "0 to train" in again.err
    assert "balanced_demo on lenet5" in cli("runs", "show", own["id"]).out

    assert "Balanced batches" in cli("table").out
    cells = json.loads(cli("table", "--format", "json").out)
    (cell,) = [c for c in cells if c["method"] == "balanced_demo"]
    assert (cell["n"], cell["mean"]) == (1, own["metrics"]["accuracy_last"])
    assert "Balanced batches" in cli("table", "--format", "md").out


def test_code_that_changes_between_planning_and_training_is_not_trained(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(own_method.__file__).read_text().replace("BalancedDemo", "Mine")
    words = ("run", "digits", "--method", write(text=text), "--steps", "2", "--repeats", "1")
    enqueue = plans.make

    def changed_since(*given: Any) -> Plan:
        made = enqueue(*given)
        write(text=text + "# changed\n")
        return made

    monkeypatch.setattr(plans, "make", changed_since)
    failed = cli(*words, "--device", "cpu")
    assert failed.code == 2
    assert "code of mine_module:Mine has changed" in failed.err
    monkeypatch.setattr(plans, "make", enqueue)
    assert cli(*words, "--device", "cpu").code == 0
    runs = json.loads(cli("runs", "list", "--json").out)
    assert sorted(r["status"] for r in runs) == ["finished", "queued"]


def test_a_method_that_there_is_not_is_exit_2() -> None:
    result = cli("run", "digits", "--method", "mine_nowhere:Mine", "--steps", "2")
    assert result.code == 2
    assert "name it as package.module:Class" in " ".join(result.err.split())
    assert not Path("results").exists()
