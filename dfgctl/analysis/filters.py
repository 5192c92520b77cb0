"""The filter weights of a run of ``dfg`` through its training (Fig. 5)."""

from pathlib import Path

from dfgctl.errors import InputError
from dfgctl.inference import state_of
from dfgctl.ledger import readings_of
from dfgctl.records import Run
from dfgctl.report.filter_weights import Moves

KEYS = ("W_history", "W_history_steps", "W_source")


def moves(run: Run, weights: Path) -> Moves:
    """Read how the filter weights of a run moved.

    Args:
        run: a finished run of ``dfg``.
        weights: the file of its newest finished attempt.

    Raises:
        InputError: its weights are not there, broken, or without the filter weights' history.
    """
    state = state_of(run, weights)
    if not all(key in state for key in KEYS):
        raise InputError(
            f"Run {run.id[:10]} kept no filter weights: name a run of dfg, or train it once more "
            "with --force."
        )
    history, steps, source = (state[key].numpy() for key in KEYS)
    rho = float(run.spec.settings["dfg"]["rho"])
    return Moves(
        run=run,
        rho=rho,
        share=0.0 if "F06" in readings_of(run.spec) else rho,
        steps=steps,
        weights=history.astype(float),
        source=source.astype(float),
    )
