"""Source networks: trained once per identity, under leases of their own."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from dfgctl.errors import LeaseLostError, SourceBusyError
from dfgctl.records import Source, SourceSpec
from dfgctl.registry import models
from dfgctl.registry.database import LEASE, Database, lasting


class Shelf(Database):
    """The registry's source networks."""

    @lasting
    def source(self, identity: str) -> Source | None:
        """Return a source network that is ready, or None."""
        with self._reading() as session:
            row = session.get(models.Source, identity)
            return _source(row) if row is not None and row.path is not None else None

    @lasting
    def keep_source(self, spec: SourceSpec) -> None:
        """Store what a source network is, so that any worker can train it."""
        with self._writing() as session:
            row = {"identity": spec.identity(), "spec": asdict(spec), "token": 0}
            self._add_new(session, models.Source, [{**row, "created_at": self._now(session)}])

    @lasting
    def source_spec(self, identity: str) -> SourceSpec | None:
        """Return what a source network is; None where the registry was never told."""
        with self._reading() as session:
            row = session.get(models.Source, identity)
            return SourceSpec(**row.spec) if row is not None else None

    @lasting
    def claim_source(self, spec: SourceSpec) -> int:
        """Take the lease on a source network that is to be trained; return its token.

        Raises:
            SourceBusyError: another process holds it.
        """
        with self._writing() as session:
            now = self._now(session)
            new = {"identity": spec.identity(), "spec": asdict(spec), "token": 0}
            self._add_new(session, models.Source, [{**new, "created_at": now}])
            row = session.get_one(models.Source, spec.identity(), with_for_update=True)
            if row.lease_until is not None and now < row.lease_until <= now + 4 * LEASE:
                raise SourceBusyError("Another process is training this source network.")
            row.token += 1
            row.lease_until = now + LEASE
            return row.token

    @lasting
    def beat_source(self, identity: str, token: int) -> None:
        """Renew the lease on a source network.

        Raises:
            LeaseLostError: it has passed to another.
        """
        with self._writing() as session:
            self._held_source(session, identity, token).lease_until = self._now(session) + LEASE

    @lasting
    def release_source(self, identity: str, token: int) -> None:
        """Give the lease on a source network back."""
        with self._writing() as session:
            self._held_source(session, identity, token).lease_until = None

    @lasting
    def finish_source(
        self,
        identity: str,
        token: int,
        source: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> Source:
        """Store that a source network is ready.

        Args:
            identity: which one.
            token: the lease's token.
            source: ``classes``, ``accuracy``, ``seconds``, ``path``.
            provenance: what it was trained on.

        Raises:
            LeaseLostError: the lease has passed to another.
        """
        with self._writing() as session:
            row = self._held_source(session, identity, token)
            for name, value in source.items():
                setattr(row, name, value)
            row.provenance, row.lease_until = self._provenance(session, provenance), None
            return _source(row)

    def _held_source(self, session: Session, identity: str, token: int) -> models.Source:
        row = session.get(models.Source, identity, with_for_update=True)
        if row is None or row.token != token:
            raise LeaseLostError("The lease on this source network has passed to another process.")
        return row


def _source(row: models.Source) -> Source:
    assert row.classes is not None
    assert row.path is not None
    return Source(
        identity=row.identity,
        spec=SourceSpec(**row.spec),
        classes=row.classes,
        accuracy=row.accuracy,
        seconds=row.seconds or 0.0,
        path=row.path,
        created_at=row.created_at,
    )
