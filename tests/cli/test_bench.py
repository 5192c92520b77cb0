"""``dfgctl bench`` measures true packs, and shows what it found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dfgctl import __version__
from dfgctl.bench import measure as measuring
from dfgctl.bench import processes
from dfgctl.bench.records import Job, Row, compared
from dfgctl.cli import bench_view

Cli = Callable[..., Any]
Answer = Callable[[Job], Row]

QUICK = ("--device", "cpu", "--threads", "1", "--rounds", "2", "--steps", "1")
CHEAP = (*QUICK, "--method", "original", "--set", "original.batch_size=4")


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Answer each job by a function instead of a process."""

    def use(answer: Answer) -> None:
        def measured(jobs: Sequence[Job]) -> Iterator[Row]:
            for job in jobs:
                yield answer(job)

        monkeypatch.setattr(processes, "measured", measured)

    return use


def made(job: Job) -> Row:
    """A row with made-up numbers: a pack of R takes 10 + R ms a step."""
    pack = len(job.runs)
    seconds = 0.01 + 0.001 * pack
    return replace(
        Row.of(job),
        device_name="CPU, 1 thread",
        rounds=(seconds, seconds),
        seconds_per_step=seconds,
        spread=0.0,
        steps_per_second=1 / seconds,
        run_steps_per_second=pack / seconds,
        setup_seconds=1.0,
        evaluation_share=0.1,
        runs_per_hour=100.0 * pack,
        peak_memory=10**8,
        idle_share=0.25,
        waiting_share=0.0,
        flop_per_step=10**9 * pack,
        matmul_per_second=10.0**12,
    )


def test_packs_are_measured_and_told_as_json(cli: Cli, tmp_path: Path) -> None:
    chart = tmp_path / "speed.svg"
    shown = cli("bench", *CHEAP, "--pack", "1,2", "--json", "-o", chart)
    assert shown.code == 0
    found = shown.json
    assert (found["schema"], found["kind"], found["notes"]) == (1, "packs", found["notes"])
    machine = found["machine"]
    assert machine["dfgctl"] == __version__
    assert set(machine) == {
        *("host", "platform", "cpu", "cores", "python", "torch", "dfgctl", "commit", "dirty"),
        *("date", "command"),
    }
    assert machine["command"][0] == "dfgctl"
    assert [row["pack"] for row in found["rows"]] == [1, 2]
    for row in found["rows"]:
        assert list(row) == [field.name for field in fields(Row)]
        assert (row["status"], row["error"], row["dataset"]) == ("ok", "", "digits")
        assert row["run_steps_per_second"] == pytest.approx(row["pack"] / row["seconds_per_step"])
        assert len(row["rounds"]) == 2
    assert found["rows"][0]["against_one"] == 1
    assert found["rows"][1]["flop_per_step"] == 2 * found["rows"][0]["flop_per_step"]
    assert chart.stat().st_size > 1000
    assert "[1/2] original, pack of 1, lenet5 on cpu, fp32: " in shown.err
    assert f"Wrote{chart}" in "".join(shown.err.split())
    assert not list(tmp_path.glob("results/registry*"))


def test_the_table_says_how_packs_compare(cli: Cli, answered: Any) -> None:
    answered(made)
    shown = cli("bench", *QUICK, "--pack", "1,10", "--method", "dfg", "--method", "finetune")
    assert shown.code == 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["finetune", "1", "11.0", "0", "%", "90.9", "1.00"] in [words[:7] for words in lines]
    assert ["dfg", "10", "20.0", "0", "%", "500", "5.50"] in [words[:7] for words in lines]
    assert "LeNet-5, Digits, cpu, fp32" in shown.out
    assert "CPU, 1 thread, 1,000 GFLOP/s in a product of matrices" in shown.out


def test_several_networks_and_random_pictures_have_tables_of_their_own(
    cli: Cli, answered: Any, tmp_path: Path
) -> None:
    answered(made)
    words = ("--backbone", "lenet5,resnet50", "--method", "original", "--pack", "1")
    shown = cli("bench", *QUICK, *words, "-o", tmp_path / "speed.pdf")
    assert shown.code == 0
    assert "LeNet-5, Digits, cpu, fp32" in shown.out
    assert "ResNet-50, Caltech-256 (random pictures), cpu, fp32" in shown.out
    assert "Caltech-256 is not in the folder data" in " ".join(shown.err.split())
    assert (tmp_path / "speed.pdf").read_bytes().startswith(b"%PDF")


def test_a_pack_without_memory_is_a_row_and_the_rest_goes_on(cli: Cli, answered: Any) -> None:
    def answer(job: Job) -> Row:
        if len(job.runs) == 2:
            return Row.of(job, "out-of-memory", "CUDA out of memory")
        return made(job)

    answered(answer)
    shown = cli("bench", *QUICK, "--method", "dfg", "--pack", "1,2,3")
    assert shown.code == 0
    assert "no memory" in shown.out
    assert "dfg, pack of 2: out of memory: CUDA out of memory." in shown.out
    assert ["dfg", "3", "13.0"] in [line.split()[:3] for line in shown.out.splitlines()]


def test_a_pack_that_failed_is_shown_and_ends_in_exit_code_1(cli: Cli, answered: Any) -> None:
    def answer(job: Job) -> Row:
        return made(job) if len(job.runs) == 1 else Row.of(job, "failed", "it died")

    answered(answer)
    shown = cli("bench", *QUICK, "--method", "dfg", "--pack", "1,2", "--json")
    assert shown.code == 1
    assert [row["status"] for row in shown.json["rows"]] == ["ok", "failed"]
    assert "1 of 2 packs could not be measured, the first (dfg, pack of 2): it died." in " ".join(
        shown.err.split()
    )


def test_where_no_pack_fits_there_is_nothing_to_draw(
    cli: Cli, answered: Any, tmp_path: Path
) -> None:
    answered(lambda job: Row.of(job, "out-of-memory", "no room"))
    shown = cli("bench", *QUICK, "--method", "dfg", "-o", tmp_path / "speed.png")
    assert shown.code == 1
    assert "no room" in shown.err
    assert not (tmp_path / "speed.png").exists()


def test_ctrl_c_shows_what_was_measured(cli: Cli, answered: Any, tmp_path: Path) -> None:
    def answer(job: Job) -> Row:
        if len(job.runs) == 2:
            raise KeyboardInterrupt
        return made(job)

    answered(answer)
    chart = tmp_path / "speed.png"
    shown = cli("bench", *QUICK, "--method", "dfg", "--pack", "1,2,3", "--json", "-o", chart)
    assert shown.code == 130
    assert [row["pack"] for row in shown.json["rows"]] == [1]
    assert "Interrupted after 1 of 3 packs." in shown.err
    assert chart.is_file()


def test_rounds_that_scatter_are_told(cli: Cli, answered: Any) -> None:
    answered(lambda job: replace(made(job), spread=0.5))
    shown = cli("bench", *QUICK, "--method", "dfg", "--json")
    assert len(shown.json["notes"]) == 1
    assert "scatter by more than 10 %" in shown.json["notes"][0]


def test_a_whole_run_is_accounted_for(cli: Cli, tmp_path: Path) -> None:
    words = ("--method", "original", "--set", "original.batch_size=4", "--steps", "8")
    shown = cli("bench", "--device", "cpu", "--whole", *words)
    assert shown.code == 0
    for part in ("training steps", "evaluations", "registry", "checkpoints", "progress", "logs"):
        assert part in shown.out
    assert "Registry, checkpoints, progress and logs together: " in shown.out
    assert not list(tmp_path.glob("results/registry*"))


def test_a_whole_run_as_json(cli: Cli) -> None:
    words = ("--method", "original", "--set", "original.batch_size=4", "--steps", "8")
    found = cli("bench", "--device", "cpu", "--whole", "--json", *words).json
    assert (found["schema"], found["kind"]) == (1, "whole")
    (run,) = found["runs"]
    assert (run["method"], run["steps"], run["run_steps"]) == ("original", 8, 600)
    assert sum(part["share"] for part in run["parts"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nothing",), "Unknown data set 'nothing'"),
        (("--method", "dgf"), "did you mean 'dfg'"),
        (("--backbone", "vgg"), "Unknown backbone 'vgg'"),
        (("--precision", "fp64"), "Unknown precision 'fp64'"),
        (("--precision", "tf32"), "NVIDIA"),
        (("--device", "tpu"), "Unknown device 'tpu'"),
        (("--pack", "0"), "--pack takes numbers"),
        (("--pack", "1,,2"), "--pack takes numbers"),
        (("--pack", "1,1001"), "from 1 to 1,000"),
        (("--precision", "fp32,fp32"), "each once"),
        (("--method", "original,dfg"), "name one method at a time"),
        (("-o", "/dev/null/chart.png"), "/dev/null is a file, no folder"),
        (("--set", "dfg.rho=0,1"), "one value of a setting"),
        (("--set", "dfg.nothing=1"), "nothing"),
        (("-o", "speed.txt"), ".png"),
        (("--whole", "-o", "speed.png"), "leave -o out"),
        (("svhn", "--whole"), "--data-dir"),
    ],
)
def test_what_cannot_be_is_one_sentence(cli: Cli, words: tuple[str, ...], says: str) -> None:
    device = () if "--device" in words else ("--device", "cpu")
    shown = cli("bench", *words, *device)
    assert shown.code == 2
    assert says in " ".join(shown.err.split())
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_without_a_gpu_cuda_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    shown = cli("bench", "--device", "cuda")
    assert shown.code == 2
    assert "There is no CUDA device here" in shown.err


def test_a_folder_of_ones_own_pictures_is_measured(
    cli: Cli, answered: Any, own_pictures: Callable[..., Path]
) -> None:
    jobs: list[Job] = []

    def answer(job: Job) -> Row:
        jobs.append(job)
        return measuring.measure(job)

    answered(answer)
    words = ("--backbone", "lenet5", "--method", "original", "--pack", "1")
    shown = cli("bench", own_pictures(), *QUICK, *words, "--set", "original.batch_size=4", "--json")
    assert shown.code == 0
    (row,) = shown.json["rows"]
    assert (row["dataset"], row["synthetic"]) == (jobs[0].info.name, False)


def cuda(method: str, pack: int, graphs: bool) -> Row:
    seconds = 0.04 * (1 + pack / 45) / (4 if graphs else 1)
    return Row(
        *("svhn", "lenet5", method, pack, "fp32", graphs, "cuda", False),
        device_name="NVIDIA H200",
        rounds=(seconds,),
        seconds_per_step=seconds,
        spread=0.034,
        run_steps_per_second=pack / seconds,
        runs_per_hour=1234.5,
        evaluation_share=0.081,
        idle_share=0.42,
        waiting_share=0.0,
        peak_memory=123_456_789_012,
        setup_seconds=12.3,
        flop_per_step=10**9,
        matmul_per_second=10.0**13,
    )


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_fits_the_terminal_and_cuts_no_number(width: int) -> None:
    rows = compared(
        [cuda(m, p, g) for m in ("finetune", "dfg") for g in (False, True) for p in (1, 45)]
    )
    file = StringIO()
    made, left_out = bench_view.table(rows, width)
    Console(file=file, width=width).print(made)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = [line.split() for line in text.splitlines()]
    (last,) = [w for w in words if w[:3] == ["dfg", "45", "graphs"]]
    for cell in ("20.0", "2,250", "92.0", "23.0", "123.5"):
        assert cell in last
    assert ("set-up" in text) == (width >= 120) == ("set-up" not in left_out)


def test_on_a_gpu_eager_and_graphs_are_panels_lines_of_their_own() -> None:
    rows = [cuda("dfg", 1, False), cuda("dfg", 45, False), cuda("dfg", 1, True)]
    (panel,) = bench_view.panels(rows)
    assert panel.title == "LeNet-5, SVHN\nNVIDIA H200, fp32"
    assert [(line.method, line.graphs, sorted(line.points)) for line in panel.lines] == [
        ("dfg", False, [1, 45]),
        ("dfg", True, [1]),
    ]


def test_modes_on_a_gpu_are_both_measured_unless_eager_is_asked_for(
    cli: Cli, answered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfgctl.dispatch.place.choose_device", lambda name: name)
    answered(made)
    words = ("bench", "--device", "cuda", "--method", "dfg", "--pack", "1,2", "--json")
    both = cli(*words).json["rows"]
    assert [(row["graphs"], row["pack"]) for row in both] == [
        (False, 1),
        (False, 2),
        (True, 1),
        (True, 2),
    ]
    assert [row["graphs"] for row in cli(*words, "--eager").json["rows"]] == [False, False]


@pytest.mark.gpu
def test_a_gpu_is_measured(cli: Cli) -> None:
    words = ("--device", "cuda", "--rounds", "2", "--steps", "1", "--method", "dfg")
    rows = cli("bench", *words, "--pack", "1,2", "--json").json["rows"]
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        assert row["peak_memory"] <= row["reserved_memory"] <= row["device_memory"]
        assert 0 <= row["idle_share"] < 1
        assert row["flop_per_step"] > 0


def test_a_setting_that_touches_nothing_is_said(cli: Cli, answered: Any) -> None:
    answered(made)
    shown = cli("bench", "--method", "original", "--pack", "1", "--set", "dfg.rho=0.2")
    assert "--set dfg.rho touches none of the chosen methods." in " ".join(shown.err.split())
    quiet = cli("bench", "--method", "dfg", "--pack", "1", "--set", "dfg.rho=0.2")
    assert "touches none" not in quiet.err


def test_a_large_network_on_a_cpu_is_said_to_be_slow(cli: Cli, answered: Any) -> None:
    answered(made)
    words = ("bench", "--backbone", "resnet50", "--method", "original", "--pack", "1")
    assert "some minutes" in cli(*words, "--device", "cpu").err


def test_an_interruption_before_anything_was_measured_promises_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dfgctl.bench.planning.subject", interrupted)
    shown = cli("bench")
    assert (shown.code, shown.err) == (130, "Interrupted. Nothing is kept.\n")
