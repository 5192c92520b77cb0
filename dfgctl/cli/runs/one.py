"""``dfgctl runs show``: all that is known of one run."""

from typing import TYPE_CHECKING, Any

from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption
from dfgctl.cli.output import print_json, reported
from dfgctl.cli.runs.choice import RunArgument, opened
from dfgctl.cli.runs.listing import record
from dfgctl.cli.show import command_of, print_run

if TYPE_CHECKING:
    from dfgctl.records import Attempt, Measurement, Run


@reported
def show_run(
    run: RunArgument,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """Show a run: settings, results, evaluations, attempts, and the command that remakes it."""
    store = opened(registry, run)
    found = store.find(run)
    attempts = store.attempts(found.id)
    shown = found.result_attempt or found.attempts
    measurements = store.measurements(found.id, shown) if shown else []
    identity = found.spec.source_identity
    command = command_of(found, store.source(identity) if identity else None)
    if any(a.number == shown and a.provenance.get("deterministic") for a in attempts):
        command += " --deterministic"
    if json:
        print_json(_detail(found, command, attempts, measurements))
        return
    print_run(found, command, attempts, measurements)


def _detail(
    run: "Run", command: str, attempts: "list[Attempt]", measurements: "list[Measurement]"
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **record(run),
        "command": command,
        "attempt_list": [asdict(a) for a in attempts],
        "measurements": [asdict(m) for m in measurements],
    }
