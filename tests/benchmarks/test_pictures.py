"""The benchmark of reading pictures: what it measures, its verdict, what it refuses."""

import json

import pictures
import pytest

SMALL = ("--pictures", "6", "--width", "40", "--height", "30", "--batch", "2", "--steps", "3")


@pytest.mark.parametrize("pauses", [False, True])
def test_it_decodes_and_reads_and_says_whether_that_keeps_up(
    capsys: pytest.CaptureFixture[str], pauses: bool
) -> None:
    words = ("--device", "cpu", *(("--need", "20") if pauses else ()))
    pictures.main([*SMALL, *words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {"date", "made_with", "command", "cores", "device"} <= found.keys()
    decoding, *reading = found["lines"]
    assert decoding["what"] == "decoding"
    names = ["reading, not ahead", "reading ahead"]
    if pauses:
        names += [f"{name}, with pauses" for name in names]
    assert [line["what"] for line in reading] == names
    assert all(line["pictures/s"] > 0 for line in found["lines"])
    waited = reading[-1]["% of the time waited"]
    assert found["keeps_up"] == ((waited < pictures.ENOUGH) if pauses else None)


def test_the_verdict_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    pictures.main([*SMALL, "--device", "cpu", "--need", "20"])
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("At 20 pictures/s the network waits ")
    assert last.endswith(("this machine keeps up.", "this machine does not keep up."))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--pictures", "0"), "--pictures must be at least 1"),
        (("--need", "0"), "--need must be more than 0"),
        (("--folder", "nowhere"), "there is no folder nowhere"),
        (("--device", "tpu"), "invalid choice"),
    ],
)
def test_what_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        pictures.main([*words])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
