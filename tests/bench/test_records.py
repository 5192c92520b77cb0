"""What follows from several rows."""

from dataclasses import asdict

from dfgctl.bench.records import Row, compared


def row(method: str, pack: int, graphs: bool, seconds: float, **more: object) -> Row:
    return Row(
        *("svhn", "lenet5", method, pack, "fp32", graphs, "cuda", False),
        seconds_per_step=seconds,
        run_steps_per_second=pack / seconds,
        **more,  # type: ignore[arg-type]
    )


def test_ratios_are_to_a_pack_of_one_of_the_same_method() -> None:
    rows = compared(
        [
            row("dfg", 1, False, 0.04),
            row("dfg", 45, False, 0.09),
            row("dfg", 1, True, 0.01),
            row("dfg", 45, True, 0.045),
            row("delta", 45, False, 0.01),
        ]
    )
    assert [r.against_one for r in rows] == [1, 20, 4, 40, None]
    assert [r.against_one_graphs for r in rows] == [0.25, 5, 1, 10, None]


def test_replays_do_the_work_of_the_eager_step() -> None:
    rows = compared(
        [
            row("dfg", 1, False, 0.5, flop_per_step=10, matmul_per_second=50.0),
            row("dfg", 3, True, 0.5, matmul_per_second=100.0),
        ]
    )
    assert [r.flop_per_step for r in rows] == [10, 30]
    assert [r.flop_per_second for r in rows] == [20, 60]
    assert [r.matmul_per_second for r in rows] == [100, 100]  # the best of the same device
    assert [r.peak_share for r in rows] == [0.2, 0.6]


def test_a_pack_that_was_not_measured_stays_empty() -> None:
    lost = Row(
        *("svhn", "lenet5", "dfg", 1, "fp32", False, "cuda", False, "out-of-memory", "no room")
    )
    rows = compared([lost, row("dfg", 2, False, 0.5)])
    assert rows[0] == lost
    assert rows[1].against_one is None


def test_a_record_has_all_attributes() -> None:
    one = row("dfg", 1, False, 0.5)
    assert one.record() == asdict(one)
