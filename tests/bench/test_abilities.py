"""What a trainer can do beside the plain thing is asked of the trainer."""

from types import SimpleNamespace

from dfgctl.bench import abilities


def test_a_trainer_says_why_it_replays_no_graphs() -> None:
    def trainer(**stepper: object) -> object:
        return SimpleNamespace(stepper=SimpleNamespace(**stepper))

    assert abilities.unrecorded(trainer(recorder=object(), problem="")) is None
    assert abilities.unrecorded(trainer(recorder=None, problem="it failed")) == "it failed"
    hosted = "its pictures lie in the host's memory"
    assert abilities.unrecorded(trainer(recorder=None, problem="")) == hosted


def test_a_trainer_that_reads_ahead_is_closed_and_says_how_long_it_waited() -> None:
    closed = []
    ahead = SimpleNamespace(waited=2.5, close=lambda: closed.append(True))
    abilities.close(ahead)
    assert closed == [True]
    assert abilities.waited(ahead) == 2.5
    abilities.close(SimpleNamespace())
    assert abilities.waited(SimpleNamespace()) == 0.0


def test_the_trainer_is_told_of_graphs_only_where_it_has_them() -> None:
    given = abilities.graph_options(False)
    assert given == ({"graphs": False} if abilities.has_graphs() else {})
