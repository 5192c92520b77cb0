"""How quick the commands are on a large registry: python benchmarks/registry.py [--help].

Makes a registry of many runs (a sweep over rho, each run with its evaluations) in a folder, or uses
the one that lies there, and measures commands as whole processes: seconds (the least of several)
and peak memory. Claims are measured in this process, packs of 45.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, manifest
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch import request as requests
from dfgctl.records import Metrics, PlannedRun
from dfgctl.registry import Registry, models

RHOS = ("0", "0.25", "0.5", "0.75", "1")
QUEUED = 2_000
COMMANDS = (
    ("runs", "list"),
    ("runs", "list", "--status", "queued"),
    ("table",),
    ("plot", "rho", "-o", "rho.png"),
    ("report", "-o", "report.html"),
    ("db", "info"),
)


def planned(count: int) -> list[PlannedRun]:
    """Plan a sweep over rho with at least so many runs."""
    repeats = -(-count // len(RHOS))
    request = requests.Request(
        "digits", methods=("dfg",), settings=(f"dfg.rho={','.join(RHOS)}",), repeats=repeats
    )
    found = [
        manifest(DATASETS[name], Path("data"), ChecksumCache(Path("nowhere.json")))
        for name in ("digits", "glyphs")
    ]
    return list(plans.make(requests.check(request), *found).runs)[:count]


def fill(registry: Registry, count: int, evaluations: int) -> None:
    """Put runs into a registry, as if they had been trained; some stay queued."""
    runs = planned(count + QUEUED)
    registry.enqueue(runs)
    now = datetime.now(UTC).replace(tzinfo=None)
    chance = random.Random(0)
    confusion = [[9 * (i == j) + (i + j) % 3 for j in range(10)] for i in range(10)]
    with registry._writing() as session:
        provenance = registry._provenance(
            session, {"commit": "0" * 40, "dirty": False, "packages": {"torch": "2"}}
        )
        for start in range(0, count, 500):
            part = runs[start : start + 500]
            attempts, points = [], []
            for run in part:
                accuracy = chance.uniform(0.7, 0.9)
                metrics = asdict(
                    Metrics(
                        *(accuracy, accuracy, 400, accuracy, accuracy, accuracy),
                        *((0.8,) * 10, 0.9, 0.8, (), 40.0, 1.0),
                    )
                )
                del metrics["confusion"]
                attempts.append(
                    {
                        "run_id": run.id,
                        "number": 1,
                        "token": 1,
                        "worker": "host:1:abcdef",
                        "device": "CPU, 2 threads",
                        "pack_size": 1,
                        "started_at": now,
                        "ended_at": now + timedelta(seconds=41),
                        "outcome": "finished",
                        "provenance": provenance,
                        "metrics": metrics,
                        "confusion": confusion,
                    }
                )
                points += [
                    {
                        "run_id": run.id,
                        "attempt": 1,
                        "step": 2 * step,
                        "loss": 0.5,
                        "accuracy": accuracy,
                        "losses": {"L_D": -30.5, "L_G": 10.2},
                        "seconds": 0.2 * step,
                    }
                    for step in range(evaluations)
                ]
            session.execute(insert(models.Attempt), attempts)
            session.execute(insert(models.Evaluation), points)
        done = [run.id for run in runs[:count]]
        for start in range(0, count, 500):
            session.query(models.Run).where(models.Run.id.in_(done[start : start + 500])).update(
                {"status": "finished", "attempts": 1, "result_attempt": 1}
            )


def measured(words: tuple[str, ...], folder: Path, times: int) -> dict[str, object]:
    """Run a command several times; return the least time and the most memory."""
    command = [sys.executable, "-m", "dfgctl", *words]
    environment = {**os.environ, "DFGCTL_REGISTRY": str(folder / "registry.sqlite")}
    seconds, memory = [], 0
    for _ in range(times):
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert child.stderr is not None
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        child.stderr.close()
        if child.returncode:
            sys.exit(f"{' '.join(command)}: {errors.decode()}")
        seconds.append(time.perf_counter() - start)
        memory = max(memory, usage.ru_maxrss)
    return {
        "what": f"dfgctl {' '.join(words)}",
        "seconds": round(min(seconds), 2),
        "MB": round(memory / 1024),
    }


def claims(registry: Registry) -> dict[str, object]:
    """Time the claims of packs of 45."""
    spent = []
    for _ in range(20):
        start = time.perf_counter()
        claim = registry.claim(None, 45, "benchmark", "CPU", {"a": 1})
        spent.append(time.perf_counter() - start)
        assert claim is not None
        registry.release(claim)
    spent.sort()
    return {"what": "claim of a pack of 45, median", "seconds": round(spent[10], 4), "MB": None}


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the registry lies or is to be made")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "registry.sqlite"
    fresh = not file.exists()
    registry = Registry(str(file))
    if fresh:
        fill(registry, given.runs, given.evaluations)
    lines = [claims(registry)]
    registry.close()
    lines += [measured(words, given.folder, given.times) for words in COMMANDS]
    if given.json:
        print(json.dumps({"bytes": file.stat().st_size, "lines": lines}, indent=2))
        return
    print(f"{file.stat().st_size / 1e6:,.0f} MB")
    for line in lines:
        print(f"{line['seconds']:>8} s  {line['MB'] or '':>5} MB  {line['what']}")


if __name__ == "__main__":
    main()
