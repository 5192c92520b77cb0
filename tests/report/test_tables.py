"""The tables by name: each says which options it uses, and refuses others in one sentence."""

from importlib import import_module

import pytest

from dfgctl.errors import InputError
from dfgctl.report import tables


@pytest.mark.parametrize("name", tables.TABLES)
def test_every_table_says_which_options_it_uses(name: str) -> None:
    module = import_module(f"dfgctl.report.{name}")
    assert module.USES <= tables.OPTIONS
    assert callable(module.make)
    tables.check(name, module.USES)
    for option in sorted(tables.OPTIONS - module.USES):
        with pytest.raises(InputError, match=f"{name} does not use --{option}: leave it out"):
            tables.check(name, [option])


@pytest.mark.parametrize("option", tables.JUDGING)
def test_how_to_judge_needs_what_is_judged(option: str) -> None:
    with pytest.raises(InputError, match=f"--{option} says .*: add --published"):
        tables.check("results", [option])
    tables.check("results", [option, "published"])


def test_tables_with_references_are_tables() -> None:
    assert set(tables.TABLES) >= tables.WITH_REFERENCES
