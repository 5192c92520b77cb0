"""``python -m dfgctl`` is the same as ``dfgctl``."""

from dfgctl.cli import main

main()
