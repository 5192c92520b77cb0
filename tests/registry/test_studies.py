"""Studies lie beside the registry or in its database, and go on after a process was lost."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from sqlalchemy.engine import make_url

from dfgctl.errors import RegistryError
from dfgctl.records import PlannedRun
from dfgctl.registry import Registry, studies
from dfgctl.registry.studies import FILE, exists, place_of
from dfgctl.registry.studies import studies as opened


def test_they_lie_beside_the_file_or_in_the_database(tmp_path: Path) -> None:
    assert place_of(str(tmp_path / "registry.sqlite")) == f"sqlite:///{tmp_path / FILE}"
    url = make_url(place_of("postgresql://me:secret@host/name"))
    assert (url.drivername, url.password) == ("postgresql+psycopg", "secret")
    assert not exists(str(tmp_path / "registry.sqlite"))
    assert exists("postgresql://me:secret@host/name")


def test_a_registry_and_its_studies_do_not_disturb_each_other(
    where: str, registry: Registry, planned: Callable[..., PlannedRun]
) -> None:
    registry.enqueue([planned()])
    for _ in range(2):  # made, and opened again
        with opened(where) as storage:
            study = optuna.create_study(
                storage=storage, study_name="a", direction="maximize", load_if_exists=True
            )
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
            assert study.best_value <= 1
    assert len(study.trials) == 2
    again = Registry(where)
    try:
        assert [run.status for run in again.runs()] == ["queued"]
    finally:
        again.close()


def test_a_trial_whose_process_was_lost_is_tried_again(
    where: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "HEARTBEAT", 1)
    monkeypatch.setattr(studies, "GRACE", 1)
    with opened(where) as storage:
        study = optuna.create_study(storage=storage, study_name="a")
        study.enqueue_trial({"x": 0.25})
        with pytest.warns(UserWarning, match="Heartbeat"):
            lost = study.ask()  # as a process does that dies before it tells
        assert lost.suggest_float("x", 0, 1) == 0.25
        storage.record_heartbeat(lost._trial_id)
        deadline = time.monotonic() + 20
        while study.trials[0].state.name == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(study)
        assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
        assert study.trials[1].params == {"x": 0.25}


def test_a_trial_that_was_lost_before_its_first_sign_of_life_is_known(
    where: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna itself would wait for it without end."""
    with opened(where) as storage:
        study = optuna.create_study(storage=storage, study_name="a")
        with pytest.warns(UserWarning, match="Heartbeat"):
            alive, lost = study.ask(), study.ask()
        storage.record_heartbeat(alive._trial_id)
        assert studies.lost_at_once(storage, "a") == []  # it may have begun just now
        monkeypatch.setattr(studies, "GRACE", 0)
        assert studies.lost_at_once(storage, "a") == [lost.number]
        assert studies.lost_at_once(storage, "b") == []
        study.tell(lost, state=optuna.trial.TrialState.FAIL)
        assert studies.lost_at_once(storage, "a") == []


def test_a_file_that_is_something_else_is_named(file: Path) -> None:
    (file.parent / FILE).write_text("no database, but long enough to be looked at" * 100)
    with pytest.raises(RegistryError, match=f"{FILE} is not a database"), opened(str(file)):
        pass


def test_errors_of_the_database_are_told_in_a_sentence(file: Path) -> None:
    def go_on() -> None:
        with opened(str(file)) as storage:
            storage.engine.connect().exec_driver_sql("SELECT * FROM missing")

    with pytest.raises(RegistryError, match="no such table"):
        go_on()
