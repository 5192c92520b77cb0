"""What a registry holds, and what is found wrong with it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filled import SOURCE, Filled, add_files, fill

from dfgctl.records import SourceSpec, WorkerState
from dfgctl.registry import Registry
from dfgctl.registry.engine import HEAD, OLDER

Sql = Callable[..., list[tuple[Any, ...]]]
OLDER_FILES = Path(__file__).parent / "older"
DISAGREEING = [
    (
        "UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000' WHERE id = ?",
        *("running", "note", "1 run whose worker vanished", "dfgctl runs list"),
    ),
    (
        "UPDATE attempts SET outcome = 'lost' WHERE run_id = ?",
        *("running", "problem", "marked as running, though no attempt", "dfgctl runs cancel"),
    ),
    (
        "UPDATE attempts SET outcome = NULL WHERE run_id = ?",
        *("failed", "note", "not running, though an attempt has no end", "dfgctl runs show"),
    ),
    (
        "DELETE FROM attempts WHERE run_id = ?",
        *("failed", "problem", "whose newest attempt is missing", "dfgctl runs rm"),
    ),
    (
        "UPDATE runs SET result_attempt = NULL WHERE id = ?",
        *("finished", "problem", "finished without a result", "dfgctl runs rm"),
    ),
    (
        "DELETE FROM evaluations WHERE run_id = ?",
        *("finished", "problem", "whose last evaluation is missing", "dfgctl run --force"),
    ),
]
"""What is done to which run by plain SQL, and what is found then."""


@pytest.fixture
def made(file: Path) -> Iterator[Filled]:
    """A registry with a run in every state, with its result's weights."""
    filled = fill(str(file))
    filled.write(f"weights/{filled.id('finished')}.1.safetensors")
    filled.write(f"weights/{filled.id('forced')}.2.safetensors")
    yield filled
    filled.registry.close()


def test_facts_count_everything(made: Filled, file: Path, sql: Sql) -> None:
    add_files(made)
    made.write("prepared/x.npy")
    made.registry.keep_source(SourceSpec("glyphs", "lenet5", "d", {}))
    now = made.registry.runs()[0].created_at
    made.registry.sign_on(WorkerState("a:1:x", "a", 1, "CPU", "run", now, now, None, {}))
    facts = made.registry.facts()
    assert (facts.where, facts.schema, facts.journal) == (str(file), HEAD, "wal")
    assert facts.database == f"SQLite {sqlite3.sqlite_version}"
    assert facts.runs == {
        "finished": 2, "running": 1, "queued": 1, "failed": 2, "cancelled": 1
    }  # fmt: skip
    assert facts.attempts == sql("SELECT count(*) FROM attempts")[0][0] == 6
    assert facts.evaluations == 3
    assert facts.workers == 1
    assert facts.plans == sql("SELECT count(*) FROM plans")[0][0] == 7
    assert facts.sources == 0  # known, but not trained
    assert facts.files["weights"] == (9, 900)
    assert facts.files["checkpoints"] == (16, 1600)
    assert facts.files["sources"] == (2, 200)
    assert facts.files["logs"] == (8, 800)
    assert facts.files["prepared"] == (1, 100)
    log = file.with_name(f"{file.name}-wal")
    assert facts.bytes == file.stat().st_size + log.stat().st_size > 50_000
    assert facts.read_only is False


def test_a_registry_in_order_has_no_findings(made: Filled) -> None:
    assert made.registry.health() == []


def test_an_empty_registry_has_none_either(registry: Registry) -> None:
    assert registry.health() == []
    assert registry.facts().runs == {}
    assert registry.facts().files["weights"] == (0, 0)


CASES = pytest.mark.parametrize(("statement", "state", "level", "says", "remedy"), DISAGREEING)


def expect(made: Filled, state: str, level: str, says: str, remedy: str) -> None:
    found = [f for f in made.registry.health() if "weights" not in f.text]
    assert len(found) == 1, found
    assert found[0].level == level
    assert says in found[0].text
    assert made.id(state)[:10] in found[0].text
    assert remedy in found[0].remedy
    assert "{}" not in found[0].remedy


@CASES
def test_what_does_not_agree_is_found_with_a_remedy(
    made: Filled,
    file: Path,
    sql: Sql,
    statement: str,
    state: str,
    level: str,
    says: str,
    remedy: str,
) -> None:
    sql(statement, made.id(state))
    expect(made, state, level, says, remedy)


@pytest.mark.postgres
@CASES
def test_it_is_found_on_postgres_as_well(
    database: str, statement: str, state: str, level: str, says: str, remedy: str
) -> None:
    made = fill(database)
    with made.registry._engine.begin() as connection:
        connection.exec_driver_sql(statement.replace("?", "%s"), (made.id(state),))
    expect(made, state, level, says, remedy)
    made.registry.close()


def test_weights_and_sources_that_are_not_here_are_noted(made: Filled) -> None:
    spec = SourceSpec("glyphs", "lenet5", "d", {})
    token = made.registry.claim_source(spec)
    path = f"sources/{SOURCE}.safetensors"
    ready = {"classes": 10, "accuracy": 0.9, "seconds": 1.0, "path": path}
    made.registry.finish_source(spec.identity(), token, ready, {})
    (made.folder / "weights" / f"{made.id('forced')}.2.safetensors").unlink()
    found = made.registry.health()
    assert [f.level for f in found] == ["note", "note"]
    assert found[0].text.startswith("1 run without weights")
    assert path in found[1].text
    made.write(path)
    made.write(f"weights/{made.id('forced')}.2.safetensors")
    assert made.registry.health() == []


def test_rows_that_refer_to_nothing_are_a_problem(made: Filled, file: Path, sql: Sql) -> None:
    sql("DELETE FROM runs WHERE id = ?", made.id("finished"))  # plain SQL keeps what refers to it
    (found,) = made.registry.health()
    assert found.level == "problem"
    assert "attempts" in found.text
    assert "evaluations" in found.text


def test_a_damaged_page_is_a_problem(made: Filled, file: Path) -> None:
    made.registry.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_runs_created'"
        ).fetchall()
    content = bytearray(file.read_bytes())
    content[(root - 1) * 4096 + 8 : (root - 1) * 4096 + 40] = b"\xff" * 32
    file.write_bytes(content)
    (found,) = made.registry.health()
    assert found.level == "problem"
    assert "damaged" in found.text
    assert "backup" in found.remedy


@pytest.mark.parametrize("version", OLDER)
def test_true_registries_of_older_versions_are_well_but_for_their_files(
    version: str, file: Path
) -> None:
    file.write_bytes((OLDER_FILES / f"{version}.sqlite").read_bytes())
    registry = Registry(str(file))
    texts = [finding.text for finding in registry.health()]
    registry.close()
    assert [t for t in texts if "weights" not in t and "source network" not in t] == (
        [] if version == "0001" else [t for t in texts if "worker vanished" in t]
    )
