"""What chooses a trial's settings: Optuna's TPE, seeded anew by each trial's place in its study."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from dfgctl.records import digest
from dfgctl.tuning.search import ERROR


class Placed(BaseSampler):
    """TPE whose draws depend on the seed and on how many trials were begun before.

    So it does not matter who trains a trial nor when, and of two that processes begin at the same
    moment each has draws of its own. A trial that was interrupted is no trial before another, as
    it is tried again; one that failed for a reason of its own is: its settings would fail again.

    Args:
        seed: of the search.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.tpe: BaseSampler = self._of(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Seed what chooses the trial's settings."""
        before = study.get_trials(deepcopy=False)[: trial.number]
        self.tpe = self._of(
            sum(t.state != TrialState.FAIL or ERROR in t.user_attrs for t in before)
        )
        self.tpe.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is chosen together."""
        return self.tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Choose it."""
        return self.tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Choose what is not chosen together."""
        return self.tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Note that the trial has ended."""
        self.tpe.after_trial(study, trial, state, values)

    def _of(self, place: int) -> TPESampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return TPESampler(
                seed=int(digest([self.seed, place])[:8], 16), multivariate=True, constant_liar=True
            )
