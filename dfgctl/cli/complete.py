"""What a shell offers at the tab key: quick, silent, and without a trace in the registry."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import typer

Offer = list[tuple[str, str]]
"""Words, each with a line of help that some shells show."""

SHOWN = 10
"""Digits of a run's id that are offered; more where as many are typed already."""


def quietly(
    find: Callable[[typer.Context, str], Iterable[tuple[str, str] | str]],
) -> Callable[[typer.Context, str], Offer]:
    """Offer nothing where something is wrong, and only what goes on from what is typed."""

    @functools.wraps(find)
    def wrapper(ctx: typer.Context, incomplete: str) -> Offer:
        try:
            every = [
                (word, "") if isinstance(word, str) else word for word in find(ctx, incomplete)
            ]
        except Exception:  # a message would be written into the line that is being typed
            return []
        return [offer for offer in every if offer[0].startswith(incomplete)]

    return wrapper


def _registry(ctx: typer.Context) -> str:
    """Return the registry that is meant by what is typed already, or is the default."""
    from dfgctl.cli.options import DEFAULT_REGISTRY

    named = ctx.params.get("registry")
    return str(named or os.environ.get("DFGCTL_REGISTRY") or DEFAULT_REGISTRY)


def _known(ctx: typer.Context, what: str) -> list[str]:
    from dfgctl.registry import peek

    try:
        return peek.names(_registry(ctx), what)
    except Exception:  # there is none yet, or it cannot be read
        return []


def _recipes() -> Offer:
    from dfgctl import recipe
    from dfgctl.data.catalog import DATASETS

    return [(name, DATASETS[name].title if name in DATASETS else "") for name in recipe.names()]


@quietly
def recipes(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the names of recipes."""
    return _recipes()


@quietly
def targets(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer what ``dfgctl run`` takes: recipes, recipes' files, and folders."""
    parent = Path(incomplete).expanduser() if incomplete.endswith("/") else None
    if parent is None:
        parent = Path(incomplete).expanduser().parent
    start = incomplete[: incomplete.rfind("/") + 1]
    found = _recipes() if "/" not in incomplete else []
    if incomplete:  # at the very start, the recipes are enough
        for path in sorted(parent.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                found.append((f"{start}{path.name}/", "a folder"))
            elif path.suffix == ".toml":
                found.append((f"{start}{path.name}", "a file"))
    return found


@quietly
def tables(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the tables."""
    from dfgctl.report.tables import TABLES

    return list(TABLES.items())


@quietly
def datasets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the data sets of recipes and of the registry's runs."""
    return sorted({*(name for name, _ in _recipes()), *_known(ctx, "dataset")})


@quietly
def published(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the data sets that ``dfgctl data`` lists."""
    from dfgctl.data.catalog import DATASETS

    return [(name, info.title) for name, info in DATASETS.items()]


@quietly
def sources(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the data sets that networks can be pre-trained on."""
    from dfgctl.data.catalog import DATASETS

    return [(name, info.title) for name, info in DATASETS.items() if "source" in info.roles]


@quietly
def methods(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the methods: ours, those of installed packages, and those of the registry's runs."""
    from importlib.metadata import entry_points

    from dfgctl.contenders import BUILT_IN
    from dfgctl.plugins import GROUP

    installed = {point.name: "" for point in entry_points(group=GROUP)}
    known = dict.fromkeys(_known(ctx, "method"), "")
    return list({**known, **installed, **BUILT_IN}.items())


@quietly
def several_methods(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the methods, and what stands for several of them."""
    from dfgctl.contenders import GROUPS

    return [*methods(ctx, incomplete), *((name, "") for name in GROUPS)]


@quietly
def contenders(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer those methods, from what they start from, that the registry has runs of."""
    from dfgctl.contenders import CONTENDERS
    from dfgctl.registry import peek

    return [(name, CONTENDERS.get(name, "")) for name in sorted(peek.contenders(_registry(ctx)))]


@quietly
def settings(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the keys of ``--set``, and after one with its = those values that are all it takes."""
    from dfgctl.setting_keys import described
    from dfgctl.settings import FidelitySettings

    found: Offer = []
    for key, (says, values) in described({"fidelity": FidelitySettings}).items():
        found.append((f"{key}=", says))
        if incomplete.startswith(f"{key}="):
            found += [(f"{key}={value}", "") for value in values]
    return [offer for offer in found if offer[0] != incomplete]


@quietly
def runs(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the ids of the registry's runs."""
    return _ids(ctx, incomplete)


@quietly
def finished_runs(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the ids of the registry's finished runs."""
    return _ids(ctx, incomplete, "finished")


@quietly
def retriable_runs(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the ids of runs that failed or were cancelled."""
    return [*_ids(ctx, incomplete, "failed"), *_ids(ctx, incomplete, "cancelled")]


@quietly
def pending_runs(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the ids of runs that are queued or running."""
    return [*_ids(ctx, incomplete, "running"), *_ids(ctx, incomplete, "queued")]


def _ids(ctx: typer.Context, incomplete: str, status: str | None = None) -> Offer:
    from dfgctl.registry import peek

    found = peek.run_ids(_registry(ctx), incomplete.lower(), status)
    shown = [run_id[:SHOWN] for run_id, _ in found]
    short = len(incomplete) < SHOWN and len(set(shown)) == len(shown)
    return [(run_id[:SHOWN] if short else run_id, says) for run_id, says in found]


@quietly
def backbones(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the networks."""
    from dfgctl.networks.catalog import BACKBONES

    return [(name, info.title) for name, info in BACKBONES.items()]


@quietly
def splits(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer where a network can be split."""
    from dfgctl.networks.catalog import BACKBONES

    return sorted({name for info in BACKBONES.values() for name in info.splits})


@quietly
def protocols(ctx: typer.Context, incomplete: str) -> Sequence[str]:
    """Offer how the ledger can be read."""
    from dfgctl.ledger import PAPER, RELEASED

    return (PAPER, RELEASED)


@quietly
def precisions(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer in which precisions methods can compute."""
    return [
        ("fp32", "float32 throughout"),
        ("tf32", "products rounded to TF32, on NVIDIA GPUs since A100"),
        ("bf16", "products in bfloat16, all else in float32"),
    ]


@quietly
def statuses(ctx: typer.Context, incomplete: str) -> Sequence[str]:
    """Offer what state a run can be in."""
    from dfgctl.records import STATUSES

    return STATUSES


@quietly
def launchers(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer where workers can run."""
    return [
        ("local", "worker processes on this machine"),
        ("slurm", "jobs of a Slurm cluster"),
        ("dry-run", "print what would be submitted"),
    ]


@quietly
def devices(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the devices; those of NVIDIA's driver are seen without asking torch."""
    count = len([p for p in Path("/dev").glob("nvidia*") if p.name[6:].isdecimal()])
    cuda = ["cuda", *(f"cuda:{i}" for i in range(count))] if count else []
    return ["auto", "cpu", *cuda]
