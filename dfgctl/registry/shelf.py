"""Source networks: trained once per identity, under leases of their own."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from dfgctl.errors import LeaseLostError, SourceBusyError
from dfgctl.records import Source, SourceSpec
from dfgctl.registry import models
from dfgctl.registry.database import LEASE, Database


class Shelf(Database):
    """The registry's source networks."""

    def source(self, identity: str) -> Source | None:
        """Return a source network that is ready, or None."""
        with self._reading() as session:
            row = session.get(models.Source, identity)
            return _source(row) if row is not None and row.path is not None else None

    def claim_source(self, spec: SourceSpec) -> int:
        """Take the lease on a source network that is to be trained; return its token.

        Raises:
            SourceBusyError: another process holds it.
        """
        with self._writing() as session:
            now = self._now(session)
            row = session.get(models.Source, spec.identity())
            if row is None:
                row = models.Source(
                    identity=spec.identity(), spec=asdict(spec), created_at=now, token=0
                )
                session.add(row)
            elif row.lease_until is not None and row.lease_until > now:
                raise SourceBusyError("Another process is training this source network.")
            row.token += 1
            row.lease_until = now + LEASE
            return row.token

    def beat_source(self, identity: str, token: int) -> None:
        """Renew the lease on a source network.

        Raises:
            LeaseLostError: it has passed to another.
        """
        with self._writing() as session:
            self._held_source(session, identity, token).lease_until = self._now(session) + LEASE

    def release_source(self, identity: str, token: int) -> None:
        """Give the lease on a source network back."""
        with self._writing() as session:
            self._held_source(session, identity, token).lease_until = None

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
        row = session.get(models.Source, identity)
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
