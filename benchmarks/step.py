"""dfgctl's training step against the plainest loop, on a CPU: python benchmarks/step.py [--help].

The plain loop (benchmarks/plain) is what a PyTorch tutorial would write: one process with as many
threads as there are cores, its DataLoader without and with worker processes. dfgctl trains as it
does on a CPU: a process of one thread for each core, each with a run of its own, all at once. The
two take turns, and each round gives one ratio. On more than one core, one process against one on
one thread comes second.

Not timed: set-up, evaluations, and updates of the filter weights (every n_W steps, of thousands);
the source network has random weights. Steps are those of the recipe.
"""

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from dfgctl import processor, provenance
from dfgctl import recipe as recipes
from dfgctl.contenders import BUILT_IN
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, manifest, missing_files
from dfgctl.errors import DfgctlError, InputError


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = Path(os.environ.get("DFGCTL_DATA", "data"))
    add = parser.add_argument
    names = [name for name in recipes.names() if recipes.load(name).backbone == "lenet5"]
    add("--dataset", choices=names, help="default: fmnist where it is, else digits")
    add("--data-dir", type=Path, default=where, help="default: $DFGCTL_DATA, else data")
    add("--method", choices=list(BUILT_IN), default="dfg", help="default: dfg")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    add("--steps", type=int, default=20, help="of a round; for dfg whole cycles of n_C2 [20]")
    add("--rounds", type=int, default=5, help="[5]")
    add("--cores", type=int, default=processor.cores(), help="default: those there are")
    add("--workers", type=int, default=2, help="that load images; 0 to leave this out [2]")
    add("--json", action="store_true")
    chosen = parser.parse_args(given)
    for name, least in (("steps", 1), ("rounds", 1), ("cores", 1), ("workers", 0)):
        if getattr(chosen, name) < least:
            parser.error(f"--{name} must be at least {least}")
    return chosen


def recipe_of(chosen: argparse.Namespace) -> recipes.Recipe:
    """Return the settings to train with.

    Raises:
        InputError: the data set is not there, or a setting cannot be what it is set to.
    """
    name = chosen.dataset
    if name is None:
        name = "digits" if missing_files(DATASETS["fmnist"], chosen.data_dir) else "fmnist"
    if DATASETS[name].files is not None:
        manifest(DATASETS[name], chosen.data_dir, ChecksumCache(Path(os.devnull), keep=False))
    changes = {}
    for text in chosen.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"'{text}' is no setting: write --set dfg.batch_size=32, say.")
        changes[key] = recipes.parse_values(key, value)[0]
    return recipes.load(name).with_settings(changes)


def measured(chosen: argparse.Namespace, recipe: recipes.Recipe) -> dict[str, Any]:
    """Let the contenders take turns.

    Raises:
        DfgctlError: one of them cannot be trained.
    """
    from contest import Contender, Contest, children, crew, rate

    steps, cores = chosen.steps, chosen.cores
    if chosen.method == "dfg":
        steps = -(-steps // recipe.dfg.n_C2) * recipe.dfg.n_C2
    contest = Contest(recipe, chosen.method, chosen.data_dir, steps)
    loaders = sorted({0, chosen.workers})
    plains = [Contender(True, cores, workers) for workers in loaders]
    alone = [Contender(True, 1)] if cores > 1 else []
    with children(contest, [*plains, *alone, *crew(cores)]) as started:
        ours = started[len(plains) + len(alone) :]
        teams = [[child] for child in started[: len(plains)]] + [ours]
        if cores > 1:
            teams += [[started[len(plains)]], ours[:1]]
        rates: list[list[float]] = [[] for _ in teams]
        for turn in range(chosen.rounds):
            places = range(len(teams))
            # Forth and back, so that none always runs on a machine that the others have warmed.
            for place in places if turn % 2 == 0 else reversed(places):
                rates[place].append(rate(teams[place], steps))
        rows = [
            row(team[0].contender, len(team), found)
            for team, found in zip(teams, rates, strict=True)
        ]
    best = max(range(len(plains)), key=lambda i: median(rates[i]))
    comparisons = [comparison(rows[best], rows[len(plains)])]
    if cores > 1:
        comparisons.append(comparison(*rows[-2:]))
    return {
        "dataset": recipe.name,
        "method": chosen.method,
        "settings": contest.spec(0).settings,
        "steps": steps,
        "rounds": chosen.rounds,
        "rows": rows,
        "comparisons": comparisons,
    }


def row(contender: Any, processes: int, rates: list[float]) -> dict[str, Any]:
    """Describe what was measured of one team."""
    who = "plain loop" if contender.plain else "dfgctl"
    name = f"{who}, {processes} process{'es' * (processes > 1)} of {contender.threads} thread"
    name += "s" * (contender.threads > 1)
    if contender.workers:
        name += f", {contender.workers} load images"
    return {
        "name": name,
        "processes": processes,
        "threads": contender.threads,
        "workers": contender.workers,
        "rates": rates,
        "median": median(rates),
    }


def comparison(plain: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Hold dfgctl against the plain loop, round by round."""
    ratios = [b / a for a, b in zip(plain["rates"], ours["rates"], strict=True)]
    return {
        "ours": ours["name"],
        "plain": plain["name"],
        "ratios": ratios,
        "median": median(ratios),
    }


def machine(cores: int) -> dict[str, Any]:
    """Describe where and when this was measured."""
    made_with = provenance.collect()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        "machine": platform.node(),
        "processor": processor.name(),
        "cores": cores,
        "cores_of_the_machine": os.cpu_count(),
        **{key: made_with[key] for key in ("dfgctl", "commit", "dirty", "python", "platform")},
        "torch": made_with["packages"]["torch"],
    }


def text(found: dict[str, Any]) -> str:
    """Write what was measured for a reader."""
    own = found["settings"][found["method"]]
    sizes = [f"batches of {own['batch_size']}"]
    sizes += [f"{key} {own[key]}" for key in ("n_D", "n_C1", "n_C2") if key in own]
    dirty = ", with changes" if found["dirty"] else ""
    lines = [
        f"{found['method']} on {found['dataset']}, LeNet-5, {', '.join(sizes)}; "
        f"{found['rounds']} rounds of {found['steps']} steps",
        f"{found['processor']}, {found['cores']} of {found['cores_of_the_machine']} cores; "
        f"{found['machine']}",
        f"torch {found['torch']}, dfgctl {found['dfgctl']} ({found['commit'] or 'no commit'}"
        f"{dirty}), {found['date']}",
        "",
        f"{'runs x steps per second':<46}{'median':>9}{'least':>9}{'most':>9}",
    ]
    lines += [
        f"{r['name']:<46}{r['median']:9.2f}{min(r['rates']):9.2f}{max(r['rates']):9.2f}"
        for r in found["rows"]
    ]
    for pair in found["comparisons"]:
        ratios = "  ".join(f"{ratio:.2f}" for ratio in pair["ratios"])
        lines += ["", f"{pair['ours']} / {pair['plain']}", f"{pair['median']:.2f}  ({ratios})"]
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, and print a table or JSON; return the exit code."""
    chosen = arguments(given)
    try:
        recipe = recipe_of(chosen)
        if chosen.dataset is None and recipe.name == "digits":
            print(f"Fashion-MNIST is not in {chosen.data_dir}: digits instead.", file=sys.stderr)
        found = {**machine(chosen.cores), **measured(chosen, recipe)}
    except DfgctlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    print(json.dumps(found, indent=2) if chosen.json else text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
