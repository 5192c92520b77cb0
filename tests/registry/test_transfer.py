"""Runs go from one registry to another: whole, once, and without overwriting anything."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfgctl import __version__
from dfgctl.errors import InputError
from dfgctl.records import Claim, DatasetCard, PlannedRun, SourceSpec, digest
from dfgctl.registry import Registry
from dfgctl.registry.lines import check, written
from dfgctl.registry.transfer import Merged

Make = Callable[..., Any]
OLDER = Path(__file__).parent / "older" / "export-1.jsonl"
P, Q = ({"commit": c, "dfgctl": "0.1", "packages": {"torch": "2.11"}} for c in (None, "ab"))


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Registry]:
    """The empty registry of another machine."""
    with closing(Registry(str(tmp_path / "another.sqlite"))) as opened:
        yield opened


@pytest.fixture
def finished(planned: Make, metrics: Make, measured: Make) -> Make:
    """Train a run by hand: enqueue, claim, measure and finish it."""

    def make(
        registry: Registry, run: PlannedRun, accuracy: float = 0.5, worker: str = "a:1"
    ) -> None:
        registry.enqueue([run], force=True)
        claim = claimed(registry, run, worker)
        registry.record(claim, {0: measured(0, accuracy)})
        registry.finish(claim, 0, metrics(accuracy), 2**33)

    return make


def claimed(registry: Registry, run: PlannedRun, worker: str = "a:1") -> Claim:
    claim = registry.claim(registry.keep_plan([run.id]), 1, worker, "CPU", P)
    assert claim is not None
    return claim


def exported(registry: Registry) -> list[str]:
    return list(registry.export(list(registry.matching())))


def moved(source: Registry, target: Registry) -> Merged:
    """Take all that has ended from one registry to another."""
    file = Path("moved.jsonl")
    file.write_text("".join(exported(source)), encoding="utf-8")
    return target.merge(check(file))


def known(registry: Registry, run_id: str) -> Any:
    """Return a run, its attempts and their evaluations."""
    attempts = registry.attempts(run_id)
    return (
        registry.run(run_id),
        attempts,
        [registry.measurements(run_id, a.number) for a in attempts],
    )


# Round trips

OUTCOMES = ("finished", "failed", "diverged", "interrupted", "lost", "cancelled")
histories = st.lists(st.lists(st.sampled_from(OUTCOMES), max_size=3), min_size=1, max_size=4)
quick = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Registry]:
    """Make new registries in folders of their own: copies of one empty one."""
    template = tmp_path / "template.sqlite"
    Registry(str(template)).close()
    count = iter(range(10**6))

    def make() -> Registry:
        folder = tmp_path / str(next(count))
        folder.mkdir()
        shutil.copy(template, folder / "registry.sqlite")
        return Registry(str(folder / "registry.sqlite"))

    return make


@pytest.fixture
def live(planned: Make, metrics: Make, measured: Make) -> Callable[..., None]:
    """Let runs live through attempts that end in given ways, one seed a history."""

    def make(registry: Registry, histories: Sequence[Sequence[str]], seed: int = 0) -> None:
        for s, history in enumerate(histories, seed):
            run = planned(s, validation=s / 100, settings={"ω": {"lr": 0.1 + s, "n": s}})
            registry.enqueue([run])
            for i, outcome in enumerate(history):
                registry.enqueue([run], force=True)
                claim = claimed(registry, run, f"w:{i % 2}")
                for step in range(i + 1):
                    registry.record(claim, {0: replace(measured(step, 1 / (s + 3)), losses={})})
                match outcome:
                    case "finished":
                        registry.finish(claim, 0, metrics(1 / (i + 3)))
                    case "failed" | "diverged":
                        registry.fail(claim, 0, outcome, f"∇ {i}\nmore")
                    case "interrupted":
                        registry.release(claim)
                    case "lost":
                        registry.lose(f"w:{i % 2}", "it vanished")
                    case _:
                        registry.cancel([run.id])

    return make


@quick
@given(histories)
def test_what_was_exported_and_imported_is_exported_the_same(
    fresh: Callable[[], Registry], live: Make, histories: list[list[str]]
) -> None:
    with closing(fresh()) as here, closing(fresh()) as there:
        live(here, histories)
        before = exported(here)
        ended = [i for i, s in here.matching().items() if s in ("finished", "failed", "cancelled")]
        assert moved(here, there) == Merged(new=len(ended))
        assert exported(there) == before
        for run_id in ended:
            ours, theirs = known(here, run_id), known(there, run_id)
            assert theirs == (replace(ours[0], checkpoint_step=0), *ours[1:])
        assert moved(here, there) == Merged(same=len(ended))
        assert exported(there) == before


@quick
@given(histories, histories)
def test_registries_without_common_runs_merge_to_the_same_either_way(
    fresh: Callable[[], Registry], live: Make, first: list[list[str]], second: list[list[str]]
) -> None:
    with closing(fresh()) as a, closing(fresh()) as b, closing(fresh()) as c, closing(fresh()) as d:
        live(a, first)
        live(b, second, seed=50)
        moved(a, c), moved(b, c)
        moved(b, d), moved(a, d)
        assert exported(c) == exported(d)
        here = {**a.matching(), **b.matching()}
        assert c.matching() == {i: s for i, s in here.items() if s not in ("queued", "running")}


@quick
@given(histories, histories)
def test_common_runs_get_all_attempts_and_keep_what_they_are(
    fresh: Callable[[], Registry], live: Make, first: list[list[str]], second: list[list[str]]
) -> None:
    with closing(fresh()) as a, closing(fresh()) as b:
        live(a, first)
        live(b, second)
        before = {run.id: known(a, run.id) for run in a.runs()}
        theirs = {run.id: known(b, run.id) for run in b.runs()}
        moved(b, a)
        for run_id, (run, attempts, _) in before.items():
            now = a.run(run_id)
            brought = theirs.get(run_id)
            if brought is None or brought[0].status in ("queued", "running"):
                assert now == run
                continue
            made = {(t.worker, t.started_at) for t in [*attempts, *brought[1]]}
            assert {(t.worker, t.started_at) for t in a.attempts(run_id)} == made
            assert [t.number for t in a.attempts(run_id)] == list(range(1, len(made) + 1))
            if run.metrics is not None or brought[0].metrics is None:
                assert (now.status, now.metrics, now.ended) == (
                    *(run.status, run.metrics),
                    run.ended or (now.status == "failed" and now.outcome == "diverged"),
                )
            else:
                assert (now.status, now.metrics) == ("finished", brought[0].metrics)
        after = exported(a)
        moved(b, a)
        assert exported(a) == after


# What merging does


def test_a_run_that_is_not_here_comes_with_all_that_it_refers_to(
    registry: Registry, another: Registry, planned: Make, finished: Make
) -> None:
    source = SourceSpec("glyphs", "lenet5", "g" * 64, {"steps": 20})
    token = another.claim_source(source)
    ready = {"classes": 26, "accuracy": 0.5, "seconds": 1.5, "path": "/theirs/s.safetensors"}
    another.finish_source(source.identity(), token, ready, Q)
    card = DatasetCard("d" * 64, "digits", "Digits", ("zero", "one"), "mine", 0.2, 7)
    another.keep_card(card)
    another.keep_card(replace(card, name="unused"))
    run = planned(source_identity=source.identity())
    finished(another, run)
    moved(another, registry)
    assert registry.run(run.id) == another.run(run.id)
    assert registry.run(run.id).card == card
    # Its weights are on another machine, so it is not ready here.
    assert registry.source_spec(source.identity()) == source
    assert registry.source(source.identity()) is None
    kinds = [json.loads(line)["kind"] for line in exported(registry)]
    assert kinds == ["header", "provenance", "provenance", "dataset", "source", "run", "end"]
    assert exported(registry) == exported(another)
    assert "/theirs" not in "".join(exported(another))


def test_a_source_network_and_a_card_that_are_here_stay(
    registry: Registry, another: Registry, planned: Make, finished: Make
) -> None:
    source = SourceSpec("glyphs", "lenet5", "g" * 64, {"steps": 20})
    for place, accuracy in ((registry, 0.25), (another, 0.75)):
        token = place.claim_source(source)
        ready = {"classes": 26, "accuracy": accuracy, "seconds": 1.0, "path": "s.safetensors"}
        place.finish_source(source.identity(), token, ready, P)
        place.keep_card(DatasetCard("d" * 64, "digits", f"Digits {accuracy}", ("zero",)))
    run = planned(source_identity=source.identity())
    finished(another, run)
    moved(another, registry)
    found = registry.source(source.identity())
    assert found is not None
    assert (found.accuracy, found.path) == (0.25, "s.safetensors")
    card = registry.run(run.id).card
    assert card is not None
    assert card.title == "Digits 0.25"


def test_a_source_network_in_training_here_is_left_alone(
    registry: Registry, another: Registry, planned: Make, finished: Make
) -> None:
    source = SourceSpec("glyphs", "lenet5", "g" * 64, {"steps": 20})
    ready = {"classes": 26, "accuracy": 0.5, "seconds": 1.0, "path": "s.safetensors"}
    another.finish_source(source.identity(), another.claim_source(source), ready, P)
    finished(another, planned(source_identity=source.identity()))
    token = registry.claim_source(source)
    moved(another, registry)
    done = registry.finish_source(source.identity(), token, {**ready, "accuracy": 0.25}, P)
    assert done.accuracy == 0.25


@pytest.mark.parametrize("here", ["queued", "cancelled", "failed", "diverged"])
def test_a_run_without_a_result_gets_that_of_another_machine(
    registry: Registry, another: Registry, planned: Make, finished: Make, here: str
) -> None:
    run = planned()
    registry.enqueue([run])
    if here == "cancelled":
        registry.cancel([run.id])
    elif here != "queued":
        registry.fail(claimed(registry, run, "b:2"), 0, here, "why")
    finished(another, run, 0.75, worker="a:1")
    assert moved(another, registry) == Merged(more=1, finished=1)
    now, attempts, measurements = known(registry, run.id)
    assert (now.status, now.outcome, now.ended) == ("finished", "finished", True)
    assert now.metrics == another.run(run.id).metrics
    assert now.result_attempt == len(attempts) == (2 if here in ("failed", "diverged") else 1)
    assert measurements[-1] == another.measurements(run.id, 1)
    assert registry.claim(None, 1, "c:3", "CPU", P) is None


def test_a_finished_run_keeps_its_result(
    registry: Registry, another: Registry, planned: Make, finished: Make
) -> None:
    run = planned()
    finished(registry, run, 0.25, worker="b:2")
    before = registry.run(run.id)
    finished(another, run, 0.75, worker="a:1")
    assert moved(another, registry) == Merged(more=1)
    after = registry.run(run.id)
    assert (after.status, after.metrics, after.result_attempt) == ("finished", before.metrics, 1)
    assert [a.worker for a in registry.attempts(run.id)] == ["b:2", "a:1"]


def test_a_run_that_is_to_be_trained_once_more_stays_in_the_queue(
    registry: Registry, another: Registry, planned: Make, finished: Make
) -> None:
    run = planned()
    finished(registry, run, 0.25, worker="b:2")
    registry.enqueue([run], force=True)
    finished(another, run, 0.75, worker="a:1")
    moved(another, registry)
    now = registry.run(run.id)
    assert (now.status, now.result_attempt) == ("queued", 1)
    assert claimed(registry, run).attempts == (3,)


def test_a_run_in_training_here_is_left_alone_and_named(
    registry: Registry, another: Registry, planned: Make, finished: Make, metrics: Make
) -> None:
    run, other = planned(0), planned(1)
    registry.enqueue([run])
    claim = claimed(registry, run, "b:2")
    finished(another, run)
    finished(another, other)
    assert moved(another, registry) == Merged(new=1, running=(run.id,))
    registry.finish(claim, 0, metrics(0.25))
    assert moved(another, registry) == Merged(more=1, same=1)
    assert [a.number for a in registry.attempts(run.id)] == [1, 2]


def test_a_diverged_run_stays_one_that_is_not_trained_again(
    registry: Registry, another: Registry, planned: Make, measured: Make
) -> None:
    run = planned()
    for place, worker, outcome in ((registry, "b:2", "diverged"), (another, "a:1", "failed")):
        place.enqueue([run])
        claim = claimed(place, run, worker)
        place.record(claim, {0: measured(2, 0.25 if place is registry else 0.75)})
        place.fail(claim, 0, outcome, worker)
    moved(another, registry)
    now, attempts, measurements = known(registry, run.id)
    assert (now.status, now.outcome, now.error, now.ended) == ("failed", "diverged", "b:2", True)
    assert [(a.number, a.worker) for a in attempts] == [(1, "a:1"), (2, "b:2")]
    assert [m.accuracy for (m,) in measurements] == [0.75, 0.25]


def test_what_has_not_ended_and_what_is_not_there_is_left_out(
    registry: Registry, planned: Make, finished: Make
) -> None:
    runs = [planned(s) for s in range(3)]
    finished(registry, runs[0])
    registry.enqueue(runs)
    claimed(registry, runs[1])
    lines = list(registry.export([*(r.id for r in runs), "0" * 64]))
    assert [json.loads(line)["data"]["id"] for line in lines if '"kind":"run"' in line] == [
        runs[0].id
    ]


# What is refused


@pytest.fixture
def lines() -> list[str]:
    """The lines of an export."""
    return OLDER.read_text(encoding="utf-8").splitlines(keepends=True)


def refused(tmp_path: Path, text: str, *says: str) -> None:
    file = tmp_path / "changed.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        check(file)
    for part in ("changed.jsonl", *says):
        assert part in str(caught.value)


def rewritten(lines: list[str], change: Callable[[str, dict[str, Any]], None]) -> str:
    """Change lines and give them right checksums, as only a program can."""
    pairs = [(line["kind"], line["data"]) for line in map(json.loads, lines[1:-1])]
    for kind, data in pairs:
        change(kind, data)
    return "".join(written(pairs))


def test_a_changed_character_is_told_by_its_line(tmp_path: Path, lines: list[str]) -> None:
    for number, line in enumerate(lines[1:-1], 2):
        place = len(line) * 3 // 4
        changed = f"{line[:place]}{'x' if line[place] != 'x' else 'y'}{line[place + 1 :]}"
        text = "".join([*lines[: number - 1], changed, *lines[number:]])
        refused(tmp_path, text, f"line {number} was changed", "nothing was imported")


def test_a_changed_number_is_told_by_its_line(tmp_path: Path, lines: list[str]) -> None:
    number = next(i for i, line in enumerate(lines, 1) if '"accuracy_last":0.625' in line)
    lines[number - 1] = lines[number - 1].replace('"accuracy_last":0.625', '"accuracy_last":0.925')
    refused(tmp_path, "".join(lines), f"line {number} was changed")


def test_a_file_that_was_cut_is_refused_wherever_it_ends(tmp_path: Path, lines: list[str]) -> None:
    for count in range(1, len(lines)):
        refused(tmp_path, "".join(lines[:count]), f"after line {count}", "cut short")
        half = lines[count][: len(lines[count]) // 2]
        refused(tmp_path, "".join([*lines[:count], half]), f"line {count + 1} was cut short")


def test_lines_that_are_missing_twice_or_swapped_are_told(tmp_path: Path, lines: list[str]) -> None:
    last = str(len(lines) - 1)
    refused(tmp_path, "".join([*lines[:-2], lines[-1]]), f"line {last}", "missing")
    refused(tmp_path, "".join([*lines[:-1], lines[-2], lines[-1]]), "does not fit")
    refused(tmp_path, "".join([*lines[:-3], lines[-2], lines[-3], lines[-1]]), "does not fit")
    refused(tmp_path, "".join([*lines, lines[-2]]), f"line {len(lines) + 1} follows the end")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("accuracy was fine\n", "is no export"),
        ("{}\n", "is no export"),
        ("[1]\n", "is no export"),
        ('{"kind": "header", "data": {"format": "dfgctl export 1"}}\n', "is no export"),
        ("[" * 99_999, "is no export"),
    ],
    ids=["empty", "text", "object", "list", "no-checksum", "deep"],
)
def test_another_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    refused(tmp_path, text, says, "dfgctl runs export")


def test_a_file_that_is_no_text_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00" * 99)
    (tmp_path / "folder").mkdir()
    for name, says in (("binary", "no export"), ("none", "no file"), ("folder", "is a folder")):
        with pytest.raises(InputError, match=says):
            check(tmp_path / name)


def test_an_export_of_a_newer_format_is_refused(tmp_path: Path, lines: list[str]) -> None:
    header = {"format": "dfgctl export 2", "dfgctl": "9.9", "schema": "9999"}
    first = json.dumps({"kind": "header", "sha256": digest(header), "data": header})
    refused(tmp_path, "".join([first, "\n", *lines[1:]]), "newer dfgctl", "upgrade dfgctl")


def test_a_run_whose_id_is_not_its_specs_digest_is_refused(
    tmp_path: Path, lines: list[str]
) -> None:
    def change(kind: str, data: dict[str, Any]) -> None:
        if kind == "run" and data["spec"]["seed"] == 1:
            data["spec"]["seed"] = 7

    number = next(i for i, line in enumerate(lines, 1) if '"seed":1' in line)
    refused(tmp_path, rewritten(lines, change), f"line {number}", "digest", "nothing was imported")


@pytest.mark.parametrize("value", [-1, 1.5, True, "much", 2**63])
def test_memory_that_is_no_number_of_bytes_is_refused(
    tmp_path: Path, lines: list[str], value: Any
) -> None:
    def change(kind: str, data: dict[str, Any]) -> None:
        for attempt in data["attempts"] if kind == "run" else ():
            attempt["peak_bytes"] = value

    number = next(i for i, line in enumerate(lines, 1) if '"kind":"run"' in line)
    refused(tmp_path, rewritten(lines, change), f"line {number}", "upgrade dfgctl")


@pytest.mark.parametrize("name", ["pack_size", "resumed_step", "step"])
@pytest.mark.parametrize("value", [-1, 1.5, "one", None, 2**31])
def test_what_no_column_of_whole_numbers_can_hold_is_refused(
    tmp_path: Path, lines: list[str], name: str, value: Any
) -> None:
    def change(kind: str, data: dict[str, Any]) -> None:
        for attempt in data["attempts"] if kind == "run" else ():
            for holder in attempt["evaluations"] if name == "step" else (attempt,):
                holder[name] = value

    number = next(i for i, line in enumerate(lines, 1) if '"kind":"run"' in line)
    refused(tmp_path, rewritten(lines, change), f"line {number}", "upgrade dfgctl")


def test_a_source_with_too_many_classes_is_refused(tmp_path: Path, lines: list[str]) -> None:
    def change(kind: str, data: dict[str, Any]) -> None:
        if kind == "source":
            data["classes"] = 2**31

    number = next(i for i, line in enumerate(lines, 1) if '"kind":"source"' in line)
    refused(tmp_path, rewritten(lines, change), f"line {number}", "upgrade dfgctl")


def test_the_memory_that_an_attempt_took_travels_with_it(
    registry: Registry, another: Registry, planned: Make, finished: Make
) -> None:
    finished(registry, planned())
    assert moved(registry, another) == Merged(new=1)
    (run,) = another.runs()
    assert (run.pack_size, run.peak_bytes) == (1, 2**33)


@pytest.mark.parametrize("name", ["status", "attempts", "class_counts", "created_at"])
@pytest.mark.parametrize("value", [None, 7, "often"])
def test_content_that_this_version_does_not_understand_is_refused(
    tmp_path: Path, lines: list[str], name: str, value: Any
) -> None:
    def change(kind: str, data: dict[str, Any]) -> None:
        if kind == "run":
            data[name] = value

    number = next(i for i, line in enumerate(lines, 1) if '"kind":"run"' in line)
    refused(tmp_path, rewritten(lines, change), f"line {number}", "upgrade dfgctl")


def test_a_kind_of_line_that_is_not_known_is_refused(tmp_path: Path) -> None:
    text = "".join(written([("dream", {"of": "more"})]))
    refused(tmp_path, text, "line 2", "dream", "upgrade dfgctl")


def test_an_attempt_that_ran_on_nothing_known_is_refused(tmp_path: Path, lines: list[str]) -> None:
    pairs = [(line["kind"], line["data"]) for line in map(json.loads, lines[1:-1])]
    left = [pair for pair in pairs if pair[0] not in ("provenance", "source")]
    refused(tmp_path, "".join(written(left)), "refers to a line that is missing")


def test_an_export_that_changes_after_it_was_checked_is_refused(
    tmp_path: Path, registry: Registry, lines: list[str]
) -> None:
    file = tmp_path / "export.jsonl"
    shutil.copy(OLDER, file)
    checked = check(file)
    file.write_text("".join(lines[:-2]), encoding="utf-8")
    with pytest.raises(InputError, match="cut short"):
        registry.merge(checked)
    assert registry.runs() == []


# Older exports


def test_an_export_of_the_first_format_still_imports(registry: Registry) -> None:
    checked = check(OLDER)
    assert (checked.runs, checked.version) == (4, "0.1.0")
    assert registry.merge(checked) == Merged(new=4)
    finished, diverged, cancelled, plain = registry.runs(whole=True)
    assert [r.status for r in registry.runs()] == ["finished", "failed", "cancelled", "finished"]
    assert finished.metrics is not None
    assert (finished.metrics.accuracy_last, finished.metrics.accuracy_val) == (0.625, 0.5)
    assert finished.metrics.confusion == ((1, 3), (0, 4))
    assert (finished.result_attempt, finished.attempts, finished.dirty) == (2, 2, False)
    assert [a.outcome for a in registry.attempts(finished.id)] == ["preempted", "finished"]
    assert [m.step for m in registry.measurements(finished.id, 2)] == [0, 3]
    assert (diverged.outcome, diverged.ended) == ("diverged", True)
    assert diverged.error == "A loss was not finite: ∇L.\nTry a lower lr."
    assert (cancelled.attempts, cancelled.metrics) == (0, None)
    assert plain.spec.source is None
    assert plain.card is not None
    assert plain.card.classes == tuple("0123456789")
    assert finished.spec.source_identity is not None
    source = registry.source_spec(finished.spec.source_identity)
    assert source is not None
    assert source.dataset == "glyphs"


def test_it_is_written_as_it_was_read(registry: Registry, lines: list[str]) -> None:
    registry.merge(check(OLDER))
    header, *rest = exported(registry)
    assert json.loads(header)["data"]["dfgctl"] == __version__
    assert rest[:-1] == lines[1:-1]
