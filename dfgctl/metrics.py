"""Metrics of imbalanced classification from a confusion matrix. Torch-free."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dfgctl.records import Metrics


def recalls(confusion: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Recall of each class; NaN for a class without images.

    Args:
        confusion: (K, K) images by true class (rows) and predicted class (columns).
    """
    matrix = np.asarray(confusion, dtype=np.float64)
    rows = matrix.sum(1)
    result: np.ndarray[tuple[int], np.dtype[np.float64]] = np.divide(
        matrix.diagonal(), rows, out=np.full(len(matrix), np.nan), where=rows > 0
    )
    return result


def balanced_accuracy(confusion: ArrayLike) -> float:
    """Mean recall over the classes that have images."""
    return float(np.nanmean(recalls(confusion)))


def final_metrics(
    confusion: ArrayLike,
    majority: Sequence[int],
    best: tuple[float, int],
    train_seconds: float,
    eval_seconds: float,
    validated: tuple[float, int] | None = None,
    unseen: float | None = None,
    source_weights: str | None = None,
) -> Metrics:
    """Compute a finished run's metrics.

    Args:
        confusion: (K, K) after the last step.
        majority: the majority classes; empty at 1:1.
        best: highest accuracy of all evaluations, and its step.
        train_seconds: time in training steps.
        eval_seconds: time in evaluations.
        validated: test accuracy at the step that the validation share chooses, and that step.
        unseen: test accuracy on the images that the source network was never trained on.
        source_weights: fingerprint of the source network's weights.
    """
    matrix = np.asarray(confusion, dtype=np.float64)
    recall = recalls(matrix)
    predicted = matrix.sum(0)
    both = matrix.sum(1) + predicted
    f1 = np.divide(2 * matrix.diagonal(), both, out=np.zeros(len(matrix)), where=both > 0)
    minority = [c for c in range(len(matrix)) if c not in majority]
    return Metrics(
        accuracy_last=float(matrix.diagonal().sum() / matrix.sum()),
        accuracy_best=best[0],
        best_step=best[1],
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(f1.mean()),
        gmean=float(np.nanprod(recall) ** (1 / np.isfinite(recall).sum())),
        recalls=tuple(float(r) if np.isfinite(r) else None for r in recall),
        majority_recall=float(np.nanmean(recall[list(majority)])) if majority else None,
        minority_recall=float(np.nanmean(recall[minority])) if majority and minority else None,
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        train_seconds=train_seconds,
        eval_seconds=eval_seconds,
        accuracy_val=validated[0] if validated else None,
        val_step=validated[1] if validated else None,
        accuracy_unseen=unseen,
        source_weights=source_weights,
    )
