"""``dfgctl runs watch``: a live view of the queue and its workers."""

from typing import Annotated, Any

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry
from dfgctl.cli.output import err, print_json, reported
from dfgctl.errors import InputError

PATIENCE = 600.0
"""Seconds for which a registry that is away is waited for."""


@reported
def watch(
    forever: Annotated[
        bool, typer.Option("--forever", help="Go on when nothing is queued, until Ctrl-C.")
    ] = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """Watch the queue and its workers until all has ended; Ctrl-C stops watching, not them."""
    from dfgctl.cli.watch import LOOK_SECONDS, ORDER, Watch, watched
    from dfgctl.dispatch.stopping import Stop

    store = open_registry(registry)
    if store is None:
        raise InputError(
            f"There is no registry at {registry} yet: train something first, e.g. dfgctl run "
            "digits."
        )
    view = Watch(store, None)
    if json:
        view.look()
        print_json(_snapshot(view))
        return
    stop = Stop()
    store.patience, store.on_trouble = PATIENCE, view.trouble

    def more() -> bool:
        if stop.reason is not None or not (forever or view.busy):
            return False
        stop.wait(LOOK_SECONDS)
        return stop.reason is None

    with stop.listening():
        watched(view, more)
    counts = ", ".join(f"{view.counts[s]:,} {s}" for s in ORDER if view.counts[s])
    err().print(f"{counts or 'No runs'}.")
    if view.counts["queued"] and not view.workers:
        err().print(
            "No worker is at work yet: dfgctl worker trains what is queued. One that has just "
            "started shows up within seconds."
        )


def _snapshot(view: Any) -> dict[str, Any]:
    """Return what is seen now, as a plain object."""
    from dataclasses import asdict

    return {"runs": dict(view.counts), "workers": [asdict(worker) for worker in view.workers]}
