"""What Slurm says, by programs that stand in for its own."""

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from dfgctl.dispatch import cluster
from dfgctl.dispatch.cluster import State, is_this_machine, states
from dfgctl.errors import InputError

Program = Callable[[str, str], Path]
HOST = platform.node()


def test_all_jobs_are_asked_for_at_once(program: Program, tmp_path: Path) -> None:
    answer = "17_0|RUNNING|None\n17_1|PENDING|Resources\n"
    program("squeue", f"echo \"$@\" >> asked\nprintf '{answer}'")
    assert states(["17_0", "17_1", "9"]) == {
        "17_0": State("RUNNING"),
        "17_1": State("PENDING", "Resources"),
        "9": State("gone"),
    }
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked.endswith("-j 17_0,17_1,9")


def test_a_job_that_slurm_has_forgotten_is_gone(program: Program) -> None:
    program("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert states(["17"]) == {"17": State("gone")}


@pytest.mark.parametrize("text", ["echo 'Unable to contact slurm controller' >&2; exit 1", None])
def test_without_an_answer_nothing_is_known(
    program: Program, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is None:
        monkeypatch.setenv("PATH", "")
    else:
        program("squeue", text)
    assert states(["17"]) is None


def test_an_answer_that_does_not_come_is_none(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SECONDS", 0.1)
    program("squeue", "exec sleep 60")
    assert states(["17"]) is None


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        *(("COMPLETED", True), ("CANCELLED", True), ("FAILED", True), ("gone", True)),
        *(("PENDING", False), ("RUNNING", False), ("COMPLETING", False), ("REQUEUED", False)),
    ],
)
def test_which_states_are_the_last(name: str, ended: bool) -> None:
    assert State(name).ended == ended


def test_a_state_in_words() -> None:
    assert str(State("OUT_OF_MEMORY")) == "out of memory"
    assert str(State("PENDING", "Priority")) == "pending (Priority)"


@pytest.mark.parametrize(
    ("partition", "lines", "is_it"),
    [
        (None, f"batch*|{HOST}\nurgent|{HOST}", True),
        (None, f"batch*|{HOST}.some.domain\ngpu|other", True),
        (None, f"batch*|{HOST}\nbatch*|other", False),
        (None, "batch*|other", False),
        (None, "", False),
        ("gpu", f"gpu|{HOST}", True),
        ("gpu", f"gpu|{HOST}\ngpu|other", False),
    ],
)
def test_whether_all_nodes_of_the_partition_are_this_machine(
    program: Program, partition: str | None, lines: str, is_it: bool
) -> None:
    program("sinfo", f"cat <<END\n{lines}\nEND")
    assert is_this_machine(partition) == is_it


def test_a_partition_that_there_is_not(program: Program) -> None:
    program("sinfo", "exit 0")
    with pytest.raises(InputError, match="no partition 'gpv' with nodes: sinfo lists"):
        is_this_machine("gpv")


def test_a_cluster_that_does_not_answer(program: Program) -> None:
    program("sinfo", "echo 'error: x' >&2; echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(InputError, match=r"does not answer \(Unable to contact slurm controller\)"):
        is_this_machine(None)


@pytest.mark.slurm
def test_the_true_cluster_answers() -> None:
    assert is_this_machine(None)
    assert is_this_machine("urgent")
    with pytest.raises(InputError, match="no partition 'gpv'"):
        is_this_machine("gpv")
    assert states(["999999", "999998"]) == {j: State("gone") for j in ("999999", "999998")}
    assert states(["999999"]) == {"999999": State("gone")}
