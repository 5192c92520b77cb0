"""All that is known of a run is shown: every attempt, its times, worker and whole error."""

from collections.abc import Callable
from typing import Any

Cli = Callable[..., Any]


def test_each_attempt_is_shown_with_what_it_was(
    cli: Cli, made: Any, sql: Callable[..., Any]
) -> None:
    run_id = made.queued()
    claim = made.claim(run_id)
    made.registry.checkpointed(claim, 4)
    made.registry.release(claim, "preempted")
    claim = made.claim(run_id)
    made.registry.resumed(claim, 4, [1])
    made.registry.fail(claim, 0, "failed", "Traceback:\n  [bold]first[/bold]\nValueError: ∇L")
    made.registry.retry([run_id])
    made.worker = "here:8:def456"
    made.registry.fail(made.claim(run_id), 0, "out-of-memory", "the pack\ndoes not fit")
    for number, start, end in ((1, "08:00:00", "08:03:20"), (2, "09:00:00", "11:05:00")):
        sql(
            "UPDATE attempts SET started_at = ?, ended_at = ? WHERE number = ?",
            f"2026-11-20 {start}.000000",
            f"2026-11-20 {end}.000000",
            number,
        )
    lines = cli("runs", "show", run_id).out
    text = " ".join(lines.split())
    assert "Attempt 1: preempted, started 2026-11-20 08:00 UTC, lasted 3 min 20 s, CPU," in text
    assert (
        "Attempt 2: failed, started 2026-11-20 09:00 UTC, lasted 2 h 05 min, went on from step 4, "
        "CPU, 2 threads, pack of 1, worker elsewhere:7:abc123, commit ababababab (tree not clean), "
        "torch 2.11" in text
    )
    assert "Traceback:\n  [bold]first[/bold]\nValueError: ∇L\n" in lines
    assert "Attempt 3: out-of-memory" in text
    assert "worker here:8:def456" in text
    assert text.count("the pack does not fit") == 1
    assert "Status failed (out-of-memory)" in text
    assert "Checkpoint at step 4" in text

    shown = cli("runs", "show", run_id, "--json").json
    assert (shown["checkpoint_step"], shown["worker"]) == (4, "here:8:def456")
    assert [a["outcome"] for a in shown["attempt_list"]] == ["preempted", "failed", "out-of-memory"]
    assert shown["attempt_list"][1]["resumed_step"] == 4


def test_an_attempt_under_way_has_lasted_for_no_time_yet(cli: Cli, made: Any) -> None:
    text = " ".join(cli("runs", "show", made.running()).out.split())
    assert "Attempt 1: under way, started " in text
    assert "lasted" not in text
    assert "Checkpoint" not in text


def test_a_finished_run_is_shown_with_its_results(cli: Cli, made: Any) -> None:
    text = " ".join(cli("runs", "show", made.finished(accuracy=0.625)[:8]).out.split())
    assert "62.50 % at the end, best 75.00 % at step 4" in text
    assert "Evaluations" in text
    assert "Remake it with:" in text


def test_a_precision_other_than_float32_is_shown(cli: Any, made: Any) -> None:
    single = made.finished(0)
    rough = made.finished(0, sections={"numerics": {"precision": "bf16"}})
    shown = cli("runs", "show", rough).out
    assert "bf16, evaluated in fp32" in shown
    assert " --precision bf16" in shown
    assert "numerics" not in shown
    assert "recision" not in cli("runs", "show", single).out
    jsons = [cli("runs", "show", run, "--json").json for run in (single, rough)]
    assert [found["precision"] for found in jsons] == ["fp32", "bf16"]
