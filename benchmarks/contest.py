"""Processes that train a run when they are told to: dfgctl's way, or by the plain loop."""

import itertools
import math
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import plain
import torch

from dfgctl import plugins
from dfgctl.bench.pictures import random_source
from dfgctl.data import sources
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DATASETS
from dfgctl.data.imbalance import Ratio, class_counts, combination_at
from dfgctl.data.views import VIEWS
from dfgctl.errors import DfgctlError
from dfgctl.ledger import readings_of
from dfgctl.recipe import Recipe
from dfgctl.records import RunSpec
from dfgctl.settings import METHOD_SECTIONS
from dfgctl.training import Trainer

NEVER = 10**9
"""Steps between updates of the filter weights, so that none falls into what is timed."""


@dataclass(frozen=True)
class Contender:
    """A process that trains one run.

    Attributes:
        plain: whether it trains by the plain loop instead of dfgctl's way.
        threads: its CPU threads.
        workers: processes that load the plain loop's images beside it.
        repeat: which run it trains, from 0.
    """

    plain: bool
    threads: int
    workers: int = 0
    repeat: int = 0


@dataclass(frozen=True)
class Contest:
    """What is trained and timed.

    Attributes:
        recipe: the data set's settings.
        method: the method.
        data_dir: the data directory.
        steps: steps of a round.
    """

    recipe: Recipe
    method: str
    data_dir: Path
    steps: int

    def spec(self, repeat: int) -> RunSpec:
        """Describe a run, without updates of the filter weights and without evaluations."""
        recipe, majority = self.recipe, self.recipe.imbalance.majority
        settings = {s: recipe.section(s).values() for s in METHOD_SECTIONS[self.method]}
        steps = settings[self.method].pop("steps")
        if self.method == "dfg":
            settings["dfg"]["n_W"] = NEVER
        classes = DATASETS[recipe.name].class_count
        return RunSpec(
            dataset=recipe.name,
            source=None,
            source_identity=None,
            method=self.method,
            backbone=recipe.backbone,
            protocol="paper",
            ratio=recipe.imbalance.ratio,
            majority=majority,
            majority_count=recipe.imbalance.majority_count,
            combination=combination_at(repeat % math.comb(classes, majority), classes, majority),
            seed=repeat // math.comb(classes, majority),
            steps=steps,
            eval_every=steps,
            validation=0.0,
            settings=settings,
            data_digest="",
        )

    def order(self) -> Iterator[int]:
        """Yield the steps to train: one after the other, or of ``difa`` some of each stage."""
        if self.method != "difa":
            return itertools.count(1)
        every = self.recipe.steps(self.method) / self.steps
        return itertools.cycle([1 + int(i * every) for i in range(self.steps)])

    def load(self) -> ImageArrays:
        """Load the data set."""
        info, view = DATASETS[self.recipe.name], VIEWS[self.recipe.backbone]
        return sources.load(info, self.data_dir, view, self.data_dir)

    def stepper(self, contender: Contender) -> Callable[[int], Any]:
        """Make a contender's training, and return what trains one step."""
        spec, data = self.spec(contender.repeat), self.load()
        available = np.bincount(data.train_labels, minlength=DATASETS[spec.dataset].class_count)
        ratio = Ratio.parse(spec.ratio)
        counts = class_counts(available.tolist(), spec.combination, ratio, spec.majority_count)
        source = None
        if plugins.find(spec.method).starts_from_source(self.recipe.section(spec.method)):
            source = random_source(spec.backbone, readings_of(spec), len(counts))
        if not contender.plain:
            cpu = torch.device("cpu")
            # As a run of its own would be: evaluations and all that is set up are not timed.
            return Trainer([spec], [counts], data, source, cpu, torch.float32).step
        state, workers = source.state if source else None, contender.workers
        return plain.make(spec, counts, data, state, workers=workers, steps=self.order()).step


class Child:
    """A contender's process."""

    def __init__(self, contest: Contest, contender: Contender) -> None:
        context = multiprocessing.get_context("spawn")
        self.contender = contender
        self.pipe, end = context.Pipe()
        self.process: BaseProcess = context.Process(target=train, args=(end, contest, contender))
        self.process.start()
        end.close()

    def tell(self, steps: int) -> None:
        """Tell it to train so many steps; 0 ends it."""
        with suppress(BrokenPipeError):  # if it has died, ``answer`` says so
            self.pipe.send(steps)

    def answer(self) -> None:
        """Wait until it has done what it was told.

        Raises:
            DfgctlError: it could not.
        """
        try:
            error = self.pipe.recv()
        except EOFError:
            self.process.join()
            error = DfgctlError(
                f"A process that trains has ended with code {self.process.exitcode}: is there "
                "memory for all of them? --cores takes fewer."
            )
        if error is not None:
            raise error


def train(pipe: Connection, contest: Contest, contender: Contender) -> None:
    """Set up and warm up, then train as many steps as the pipe says, until it says none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children
    try:
        torch.set_num_threads(contender.threads)
        step, order = contest.stepper(contender), contest.order()
        for number in itertools.islice(order, contest.steps):
            step(number)
        pipe.send(None)
        while count := pipe.recv():
            for number in itertools.islice(order, count):
                step(number)
            pipe.send(None)
    except EOFError:
        sys.exit(1)  # the parent is gone
    except DfgctlError as error:
        pipe.send(error)
    except Exception as error:  # whatever torch raises ends the benchmark with its words
        pipe.send(DfgctlError(f"A training failed ({type(error).__name__}: {error})."))


@contextmanager
def children(contest: Contest, contenders: Sequence[Contender]) -> Iterator[list[Child]]:
    """Start the contenders' processes; they are ready when the block begins, and end with it.

    Raises:
        DfgctlError: one of them could not be set up.
    """
    started: list[Child] = []
    try:
        for contender in contenders:
            started.append(Child(contest, contender))
        for child in started:
            child.answer()
        yield started
        for child in started:
            child.tell(0)
            child.process.join()
    finally:
        for child in started:
            child.process.terminate()


def rate(team: Sequence[Child], steps: int) -> float:
    """Let processes train at the same time: runs x steps a second.

    Args:
        team: the processes, each with one run.
        steps: steps that each trains.
    """
    start = time.perf_counter()
    for child in team:
        child.tell(steps)
    for child in team:
        child.answer()
    return len(team) * steps / (time.perf_counter() - start)


def crew(cores: int) -> list[Contender]:
    """Return dfgctl's processes on a CPU: one with one thread for each core."""
    first = Contender(plain=False, threads=1)
    return [replace(first, repeat=i) for i in range(cores)]
