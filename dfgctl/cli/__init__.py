"""The command line: one file a command group, and the only place that prints or exits."""

from dfgctl.cli.app import app


def main() -> None:
    """Run ``dfgctl``."""
    import atexit
    import gc  # not above, where the name is that of a command's file

    # What is left at the end goes with the process: to look for cycles in it would take a quarter
    # of a second after a large table.
    atexit.register(gc.freeze)
    app(prog_name="dfgctl")


__all__ = ["app", "main"]
