"""Clears what no run needs, and nothing that any run may need."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Select, delete, or_, select, update
from sqlalchemy.orm import Session

from dfgctl.errors import RegistryError
from dfgctl.records import has_ended
from dfgctl.registry import models, peek
from dfgctl.registry.database import Database
from dfgctl.registry.files import Left, listed
from dfgctl.registry.intake import parts_of

OLD = 3600.0
"""Seconds after which what a writer began is taken for left by one that was killed."""

AT_ONCE = 20
"""Files that are deleted while the registry is held."""


@dataclass(frozen=True)
class Waste:
    """What no run needs.

    Attributes:
        files: the files.
        plans: plans whose runs have all ended.
        others: other registries in the same folder; what they know is not among the files.
        strangers: files of runs that no registry knows, which stay as another may know them.
    """

    files: tuple[Left, ...]
    plans: int
    others: tuple[Path, ...] = ()
    strangers: int = 0


@dataclass(frozen=True)
class Cleared:
    """What was deleted.

    Attributes:
        files: the files.
        plans: plans.
        kept: files that have come into use since they were listed.
        failed: files that could not be deleted, with the reason.
    """

    files: tuple[Left, ...]
    plans: int
    kept: int
    failed: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class _State:
    ended: bool
    result: int | None


class Janitor(Database):
    """The registry's clearing up."""

    def waste(self) -> Waste:
        """Find what no run needs.

        The files are listed first and the runs' states read after: a file that a worker writes in
        between is not listed, and one that it wrote before belongs to a run that is running.

        Raises:
            RegistryError: another registry in the folder cannot be read.
        """
        files = listed(self.folder, self.file)
        others, copies = self._neighbours()
        # Another database may use the folder without a trace in it, another file leaves one.
        alone = self.file is not None and not others
        old = {file.path for file in files if time.time() - file.written > OLD}
        with self._reading() as session:
            judge = self._judge(session, files, hold=False)
            plans = len(session.scalars(_done_plans()).all())
        found, strangers = [], 0
        for file in files:
            known = judge(file)
            if known is False or (file.kind == "temporary" and file.path not in old):
                continue
            if file.id is not None:
                if any(_knows(other, file) for other in others.values()):
                    continue
                if known is None and any(_knows(copy, file) for copy in copies):
                    continue
                if known is None and not alone:
                    strangers += 1
                    continue
            found.append(file)
        return Waste(tuple(found), plans, tuple(others), strangers)

    def clear(self, waste: Waste) -> Cleared:
        """Delete what ``waste`` found, but what has come into use or was changed since.

        While some files go, the registry is held, so that no worker can claim their runs.

        Raises:
            RegistryError: the registry cannot be written; what went before is gone.
        """
        gone: list[Left] = []
        failed: list[tuple[Path, str]] = []
        for start in range(0, len(waste.files), AT_ONCE):
            part = waste.files[start : start + AT_ONCE]
            with self._writing() as session:
                judge = self._judge(session, part, hold=True)
                unused = [f for f in part if judge(f) is not False and f.unchanged()]
                for file in unused:
                    try:
                        file.path.unlink()
                        gone.append(file)
                    except OSError as error:
                        failed.append((file.path, error.strerror or str(error)))
                self._forget_sources(session, unused)
        for folder in {f.path.parent for f in gone if f.folder == "checkpoints"}:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()
        with self._writing() as session:
            # Held first and judged then: a command may just queue one of them again.
            locked = select(models.Plan.id).order_by(models.Plan.id)
            held = list(session.scalars(locked.with_for_update(skip_locked=True)))
            plans = sorted(set(session.scalars(_done_plans())) & set(held))
            for ids in parts_of(plans):
                session.execute(delete(models.Plan).where(models.Plan.id.in_(ids)))
        kept = len(waste.files) - len(gone) - len(failed)
        return Cleared(tuple(gone), len(plans), kept, tuple(failed))

    def _neighbours(self) -> tuple[dict[Path, peek.Known], list[peek.Known]]:
        """Return other registries in the folder, and copies of older schemas, with what they know.

        Raises:
            RegistryError: one cannot be read.
        """
        others: dict[Path, peek.Known] = {}
        copies: list[peek.Known] = []
        try:
            paths = sorted(path for path in self.folder.iterdir() if path.is_file())
        except FileNotFoundError:
            return {}, []
        except OSError as error:
            raise RegistryError(
                f"{self.folder} cannot be read ({error.strerror}): clear up as its owner."
            ) from error
        for path in paths:
            if self.file is not None and path.samefile(self.file):
                continue
            found = peek.known(path)
            if found is None:
                continue
            if path.suffix == ".bak":
                copies.append(found)
            else:
                others[path] = found
        return others, copies

    def _judge(
        self, session: Session, files: Iterable[Left], hold: bool
    ) -> Callable[[Left], bool | None]:
        """Return what says of a file whether it is waste; None for one of an unknown run.

        Args:
            session: a transaction.
            files: the files.
            hold: whether the runs are held until the transaction ends.
        """
        files = list(files)
        runs = sorted({f.id for f in files if f.id is not None and f.folder != "sources"})
        states = self._states(session, runs, hold)
        wanted, ours = self._sources(session) if any(f.folder == "sources" for f in files) else _NO

        def judge(file: Left) -> bool | None:
            if file.id is None:
                return True
            if file.folder == "sources":
                return False if file.id in wanted else True if file.id in ours else None
            state = states.get(file.id)
            if state is None:
                return None
            if not state.ended or file.folder == "logs":
                return False
            return file.kind != "weights" or file.attempt != state.result

        return judge

    def _states(self, session: Session, ids: Sequence[str], hold: bool) -> Mapping[str, _State]:
        found: dict[str, _State] = {}
        for part in parts_of(ids):
            run, last = models.Run, models.Attempt
            query = (
                select(run.id, run.status, run.result_attempt, last.outcome)
                .outerjoin(last, (last.run_id == run.id) & (last.number == run.attempts))
                .where(run.id.in_(part))
            )
            if hold:
                query = query.with_for_update(of=run)
            for row in session.execute(query):
                found[row.id] = _State(has_ended(row.status, row.outcome), row.result_attempt)
        return found

    def _sources(self, session: Session) -> tuple[set[str | None], set[str]]:
        """Return the source networks that runs refer to or that are trained, and all we know."""
        identity = models.Run.spec["source_identity"].as_string()
        wanted = set(session.scalars(select(identity).distinct()))
        known, now = models.Source.identity, self._now(session)
        busy = session.scalars(select(known).where(models.Source.lease_until > now))
        return wanted | set(busy), set(session.scalars(select(known)))

    @staticmethod
    def _forget_sources(session: Session, files: Iterable[Left]) -> None:
        """Note that source networks whose files went are to be trained anew when they are needed.

        The rows stay: a plan that is being made may have looked for them already.
        """
        for file in files:
            if file.folder == "sources" and file.kind == "sources" and not file.path.exists():
                session.execute(
                    update(models.Source)
                    .where(models.Source.identity == file.id)
                    .where(models.Source.path == f"sources/{file.path.name}")
                    .values(path=None)
                )


_NO: tuple[set[str | None], set[str]] = (set(), set())


def _knows(registry: peek.Known, file: Left) -> bool:
    return file.id in (registry.sources if file.folder == "sources" else registry.runs)


def _done_plans() -> Select[str]:
    run, member, last = models.Run, models.PlanRun, models.Attempt
    diverged = (run.status == "failed") & (last.outcome == "diverged")
    unfinished = (
        select(member.run_id)
        .join(run, run.id == member.run_id)
        .outerjoin(last, (last.run_id == run.id) & (last.number == run.attempts))
        .where(member.plan == models.Plan.id, ~or_(run.status == "finished", diverged))
    )
    return select(models.Plan.id).where(~unfinished.exists())
