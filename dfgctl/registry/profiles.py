"""What packs took on devices, so that no worker needs to learn it twice."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from dfgctl.memory import Point, Profile
from dfgctl.registry import models
from dfgctl.registry.database import Database, lasting


class Profiles(Database):
    """The registry's profiles of packs."""

    @lasting
    def profile(self, profile: Profile) -> Profile:
        """Return a profile with all that is known of its kind on its device."""
        table = models.Profile
        query = select(table).where(table.kind == profile.kind, table.device == profile.device)
        with self._reading() as session:
            rows = session.scalars(query.order_by(table.pack)).all()
            return replace(profile, points=tuple(_point(row) for row in rows))

    @lasting
    def profiles(self, kind: str | None = None) -> list[Profile]:
        """Return all profiles, or those of a kind, by device, data set and method."""
        table = models.Profile
        query = select(table)
        if kind is not None:
            query = query.where(table.kind == kind)
        by = (table.device, table.dataset, table.method, table.kind, table.pack)
        found: dict[tuple[str, str], Profile] = {}
        with self._reading() as session:
            for row in session.scalars(query.order_by(*by)):
                key = (row.kind, row.device)
                known = found.get(key) or Profile(
                    row.kind, row.device, row.device_bytes, row.method, row.backbone, row.dataset
                )
                found[key] = replace(known, points=(*known.points, _point(row)))
        return list(found.values())

    @lasting
    def keep_peak(
        self, profile: Profile, pack: int, peak_bytes: int | None, step_seconds: float | None
    ) -> None:
        """Store what a pack took: the highest peak of its size counts, and the newest time.

        Args:
            profile: the kind and the device.
            pack: runs in the pack.
            peak_bytes: the most memory that it held; None to leave that as it is.
            step_seconds: seconds a step of the whole pack; None to leave that as it is.
        """

        def change(row: models.Profile) -> None:
            if peak_bytes is not None:
                row.peak_bytes = max(peak_bytes, row.peak_bytes or 0)
            if step_seconds is not None:
                row.step_seconds = step_seconds

        self._change(profile, pack, change)

    def keep_failure(self, profile: Profile, pack: int, free_bytes: int) -> None:
        """Store that a pack ran out of memory.

        It is not ``lasting``'s to do twice, as failures are counted; see ``_change``.

        Args:
            profile: the kind and the device.
            pack: runs in the pack.
            free_bytes: what it could have had.
        """
        before = next((p.failures for p in self.profile(profile).points if p.pack == pack), 0)

        def change(row: models.Profile) -> None:
            row.failures = max(row.failures, before + 1)
            row.free_bytes = max(free_bytes, row.free_bytes or 0)

        self._change(profile, pack, change)

    @lasting
    def _change(
        self, profile: Profile, pack: int, change: Callable[[models.Profile], None]
    ) -> None:
        """Change a size's row, made where there is none; twice comes to the same as once."""
        with self._writing() as session:
            now = self._now(session)
            self._make(session, profile, pack)
            key = (profile.kind, profile.device, pack)
            row = session.get_one(models.Profile, key, with_for_update=True)
            change(row)
            row.measured_at = now

    def _make(self, session: Session, profile: Profile, pack: int) -> None:
        names = ("kind", "device", "device_bytes", "method", "backbone", "dataset")
        values = {name: getattr(profile, name) for name in names}
        row = {**values, "pack": pack, "failures": 0, "measured_at": self._now(session)}
        self._add_new(session, models.Profile, [row])


def _point(row: models.Profile) -> Point:
    return Point(
        pack=row.pack,
        peak_bytes=row.peak_bytes,
        step_seconds=row.step_seconds,
        failures=row.failures,
        free_bytes=row.free_bytes,
        measured_at=row.measured_at,
    )
