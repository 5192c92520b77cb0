"""The command line: one file a command group, and the only place that prints or exits."""

from dfgctl.cli.app import app


def main() -> None:
    """Run ``dfgctl``."""
    app(prog_name="dfgctl")


__all__ = ["app", "main"]
