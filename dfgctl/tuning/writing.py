"""Writes what a search found as a recipe fragment, which says how it was found."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from dfgctl import RESULTS_VERSION
from dfgctl.dispatch.tuned import conditions, init_of
from dfgctl.fragments import kept
from dfgctl.tuning.outcome import Outcome

WIDTH = 98


def fragment(found: Outcome, command: str, use: str) -> str:
    """Return the text of a fragment.

    Args:
        found: what was found; a trial has finished.
        command: the command that found it.
        use: the command that uses it.
    """
    task, best, top = found.task, found.best, found.top
    assert best is not None
    values = _settings(found)
    table = {
        "command": command,
        "trials": len(found.trials),
        "finished": len(found.trials) - found.pruned,
        "pruned": found.pruned,
        "failed": found.failed,
        "interrupted": found.interrupted,
        "diverged": found.diverged,
        "runs": len(task.pairs),
        "seconds": round(found.seconds, 1),
        "device": ", ".join(found.devices),
        "best": best.value,
        "recipe": found.own,
        "top": top,
        "top_mean": sum(top) / len(top),
        "validation": task.checked.request.validation,
        "select": task.select,
        "pairs": [[list(combination), seed] for combination, seed in task.pairs],
        **conditions(task.checked, task.variant, task.method),
        "source_identity": task.spec.source_identity,
        "space": [p.text() for p in task.parameters],
        "edge": found.edge,
        "kept": kept(task.spec, values),
        "data": task.target.digest,
        "results_version": RESULTS_VERSION,
        "date": found.ended.date().isoformat() if found.ended else None,
        "commit": ", ".join(found.commits) or None,
        "dirty": found.dirty,
    }
    lines = [*_comment(found, command, use), "", "[found]", *_pairs(table)]
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    for section, values in sections.items():
        lines += ["", f"[{section}]", *_pairs(values)]
    return "\n".join(lines) + "\n"


def _settings(found: Outcome) -> dict[str, Any]:
    """Return what the fragment sets: what was fixed, what was found, what follows from it."""
    task = found.task
    assert found.best is not None
    init = init_of(task.variant, task.method)
    start = {f"{task.method.name}.init": init} if init is not None else {}
    return {**start, **task.fixed, **task.settings(found.best.parameters)}


def _comment(found: Outcome, command: str, use: str) -> list[str]:
    task, top = found.task, found.top
    assert found.best is not None
    assert found.best.value is not None
    spec = task.spec
    own = f"{100 * found.own:.2f} %" if found.own is not None else "not tried"
    spread = (
        f"the {len(top)} best lie between {100 * top[-1]:.2f} and {100 * top[0]:.2f} %, mean "
        f"{100 * sum(top) / len(top):.2f} %"
    )
    start = f", from the source {spec.source}" if spec.source else ""
    step = "after the last step" if task.select == "last" else "at each run's best step"
    text = (
        f"{spec.dataset}: settings of {task.title} ({spec.method}{start}), found by {command}. "
        f"{len(found.trials)} trials ({found.pruned} pruned), each of {len(task.pairs)} runs, took "
        f"{found.seconds:,.0f} s on {', '.join(found.devices) or 'an unknown device'}. The "
        f"objective is the balanced accuracy {step} on {spec.validation:g} of the training images "
        f"of each class, held out, mean over the pairs; test images were not looked at. Best "
        f"{100 * found.best.value:.2f} %, the recipe's own settings {own}; {spread}. The best of "
        f"many trials flatters: what counts is the test accuracy on other pairs, {use}."
    )
    if found.edge:
        text += (
            f" At the edge of their range: {', '.join(found.edge)}; a better value may lie beyond."
        )
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    """Write keys and values; JSON's strings, numbers, booleans and lists are TOML's."""
    return [
        f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, value in values.items()
        if value is not None
    ]
