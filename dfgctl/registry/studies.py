"""Where Optuna keeps its studies: beside an SQLite registry, or inside a PostgreSQL one.

On PostgreSQL Optuna has tables of its own, and a version table of its own (``alembic_version``).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from dfgctl.errors import RegistryError
from dfgctl.registry import postgres
from dfgctl.registry.engine import BUSY_SECONDS, home, registry_url, sqlite_path, translated

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

FILE = "tuning.sqlite"
"""Its file, beside an SQLite registry."""

HEARTBEAT, GRACE = 10, 40
"""Seconds between a trial's signs of life, and after how many without one it counts as lost."""

SILENT = text(
    "SELECT trials.number, trials.datetime_start FROM trials"
    " JOIN studies ON studies.study_id = trials.study_id"
    " LEFT JOIN trial_heartbeats ON trial_heartbeats.trial_id = trials.trial_id"
    " WHERE studies.study_name = :study AND trials.state = 'RUNNING'"
    " AND trial_heartbeats.trial_id IS NULL"
)
"""Asks for a study's trials under way that have given no sign of life yet."""

TRIES = 3
"""Times that a trial is tried again whose worker was lost."""


def place_of(registry: str) -> str:
    """Return the URL of the studies of a registry."""
    url = registry_url(registry)
    if sqlite_path(url) is not None:
        return f"sqlite:///{(home(registry) / FILE).resolve()}"
    if url.drivername in postgres.NAMES:
        url = url.set(drivername=postgres.NAMES[-1])
    return url.render_as_string(hide_password=False)


def exists(registry: str) -> bool:
    """Say whether there may be studies: an SQLite file is there, or it is another database."""
    return sqlite_path(registry_url(registry)) is None or (home(registry) / FILE).is_file()


@contextmanager
def studies(registry: str) -> Iterator["RDBStorage"]:
    """Open the studies of a registry, which are made if they are not there.

    Raises:
        RegistryError: they are not Optuna's, or another version's, or cannot be opened.
        RegistryUnavailableError: the database does not answer.
    """
    import optuna

    where = place_of(registry)
    sqlite = where.startswith("sqlite")
    shown = where.removeprefix("sqlite:///") if sqlite else registry
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    options: dict[str, object] = {"timeout": BUSY_SECONDS}
    if not sqlite:
        given = make_url(where).query
        options = {name: value for name, value in postgres.PATIENCE.items() if name not in given}
    with warnings.catch_warnings(), speaking_plainly(shown):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            where,
            # Optuna leaves connections to the garbage collector, which no pool would close.
            engine_kwargs={"connect_args": options, "poolclass": None if sqlite else NullPool},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(TRIES),
        )
        if sqlite:
            event.listen(storage.engine, "connect", _in_wal)
            storage.engine.dispose()  # so that all connections are told
    try:
        with speaking_plainly(shown):
            yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def lost_at_once(storage: "RDBStorage", study: str) -> list[int]:
    """Return the numbers of the trials whose process was gone before their first sign of life.

    Optuna knows those alone that have given one, and waits for the others without end.

    Args:
        storage: the studies.
        study: a study's name.
    """
    long_ago = datetime.now() - timedelta(seconds=GRACE)  # without a zone, as Optuna keeps it
    with storage.engine.connect() as connection:
        silent = connection.execute(SILENT, {"study": study}).all()
    return [number for number, start in silent if datetime.fromisoformat(str(start)) < long_ago]


@contextmanager
def speaking_plainly(where: str) -> Iterator[None]:
    """Turn what Optuna and its database raise into one sentence with the remedy."""
    import optuna

    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        cause = error.__cause__
        if isinstance(cause, SQLAlchemyError):
            raise translated(cause, where) from error
        raise RegistryError(f"The studies in {where} cannot be used: {error}") from error
    except SQLAlchemyError as error:
        raise translated(error, where) from error
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        raise RegistryError(
            f"The studies in {where} were written by another version of Optuna: move them away, or "
            "install that version."
        ) from error


def _in_wal(connection: object, _: object) -> None:
    """Let readers and one writer work side by side."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
