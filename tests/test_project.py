"""The project's own papers: version, changelog, citation, recipes in the package, docstrings."""

import ast
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import typer

import dfgctl
from dfgctl.cli import app
from dfgctl.contenders import BUILT_IN
from dfgctl.lookup import CLASSES

ROOT = Path(__file__).parent.parent

if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("not in a checkout", allow_module_level=True)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_changelog_speaks_of_this_version_and_its_results():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {dfgctl.__version__}" in text
    assert f"RESULTS_VERSION {dfgctl.RESULTS_VERSION}" in text


def test_citation_is_of_the_paper_and_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert "Discriminative feature generation for classification of imbalanced data" in text
    assert f"version: {dfgctl.__version__}" in text


def test_recipes_travel_with_the_package():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"recipes": "dfgctl/recipes"}
    assert len(list((ROOT / "recipes").glob("*.toml"))) >= 2


def test_readme_names_the_two_commands_and_only_commands_that_there_are():
    text = (ROOT / "README.md").read_text()
    assert "python3 -m pip install nox && nox -s demo" in text
    assert "python3 -m pip install nox && nox -s tests" in text
    commands = typer.main.get_command(app).commands
    assert set(re.findall(r"\$ dfgctl ([a-z]+)", text)) == set(commands)
    assert set(re.findall(r"\$ dfgctl runs ([a-z]+)", text)) == set(commands["runs"].commands)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_links_within_the_project_lead_somewhere(page):
    file = ROOT / page
    links = re.findall(r"\]\(([^)]+)\)", file.read_text())
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        target = file.parent / path if path else file
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), anchor


def test_readme_shows_the_method_of_ones_own_that_the_tests_train():
    shown = (ROOT / "README.md").read_text()
    own = (ROOT / "tests" / "support" / "own_method.py").read_text()
    assert f"```python\n{own}```" in shown
    assert len(own.splitlines()) <= 40


def test_readme_lists_every_method():
    text = (ROOT / "README.md").read_text()
    for name in BUILT_IN:
        assert f"| `{name}` |" in text


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_methods_docstring_ends_in_its_departures(name):
    doc = inspect.getdoc(CLASSES[name])
    assert doc is not None
    last = doc.strip().split("\n\n")[-1]
    assert last.startswith("Departures:")
    assert all(1 <= int(n) <= 30 for n in re.findall(r"F(\d\d)", last))
    assert Path(inspect.getfile(CLASSES[name])).name == f"{name}.py"


def test_public_names_have_docstrings():
    missing = []
    for file in (ROOT / "dfgctl").rglob("*.py"):
        tree = ast.parse(file.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(member for c in classes for member in c.body)]:
            kinds = ast.ClassDef | ast.FunctionDef
            public = isinstance(node, kinds) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                missing.append(f"{file.relative_to(ROOT)}: {node.name}")
    assert missing == []


def test_no_room_is_crowded():
    long = {
        str(file.relative_to(ROOT)): count
        for file in (ROOT / "dfgctl").rglob("*.py")
        if (count := len(file.read_text().splitlines())) > 350
    }
    assert long == {}
