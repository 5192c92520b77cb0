"""The FLOP of runs, counted where the registry's folder does not know them yet."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dfgctl.bench.flop_cache import FILE, FlopCache
from dfgctl.cli.output import err, escape

if TYPE_CHECKING:
    from dfgctl.records import Run
    from dfgctl.registry import Registry


def known(store: "Registry", runs: "Iterable[Run]", count: bool = True) -> dict[str, float]:
    """Return the FLOP of finished runs by their groups (``RunSpec.group``).

    What a method of one's own takes is left out where its class cannot be imported or fails.

    Args:
        store: the registry, beside which they are remembered.
        runs: the runs.
        count: whether those are counted that are not known yet, which imports torch.
    """
    cache = FlopCache(store.folder / FILE)
    kinds = {run.spec.group(): run for run in runs if run.metrics is not None}
    found = {group: cache.get(run.spec, run.class_counts) for group, run in kinds.items()}
    missing = [group for group, flop in found.items() if flop is None]
    if missing and count:
        many = "1 kind" if len(missing) == 1 else f"{len(missing)} kinds"
        err().print(f"Counting the FLOP of {many} of runs, once.", style="dim")
        for group in missing:
            run = kinds[group]
            found[group] = cache.get(run.spec, run.class_counts)  # kinds may share it
            if found[group] is None:
                found[group] = _counted(run)
                if (flop := found[group]) is not None:
                    cache.keep(run.spec, run.class_counts, flop)
    return {group: flop for group, flop in found.items() if flop is not None}


def _counted(run: "Run") -> float | None:
    from dfgctl.bench.run_flop import flop_of

    try:
        return flop_of(run.spec, run.class_counts)
    except Exception as error:  # one's own code may raise anything, and ours knows its own runs
        if "code" not in run.spec.settings:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        err().print(f"[yellow]Note:[/yellow] {escape(reason)}", soft_wrap=True)
        return None
