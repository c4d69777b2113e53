"""What stands in two places of the repository says the same in both."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import sklearn_zoomout

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def imported_modules():
    """Top-level modules that the package imports anywhere, others than Python's own."""
    for path in (ROOT / "sklearn_zoomout").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            yield from (name.partition(".")[0] for name in names)


def names_of(requirements):
    """Names of the distributions in a list of requirements."""
    return {normal(re.match(r"[\w-]+", line).group()) for line in requirements}


def normal(name):
    """A distribution's name as pip compares it."""
    return name.lower().replace("_", "-")


def test_dependencies_are_what_the_package_imports():
    """Nothing is imported that pip would not install, and nothing installed in vain."""
    modules = set(imported_modules()) - sys.stdlib_module_names - {"sklearn_zoomout"}
    distributions = packages_distributions()
    # What is optional, and not here, has the name of its module.
    imported = {normal(distributions.get(name, [name])[0]) for name in modules}
    extras = PROJECT["optional-dependencies"]
    optional = names_of(
        requirement
        for extra in ("plots", "rasters", "timm", "hdf5", "checks")
        for requirement in extras[extra]
    )
    assert imported == names_of(PROJECT["dependencies"]) | optional


def test_tests_extra_covers_what_the_examples_plot():
    """The test command needs all that the optional parts need."""
    extras = PROJECT["optional-dependencies"]
    assert {*extras["plots"], *extras["rasters"], *extras["timm"]} <= set(
        extras["tests"]
    )


def test_change_log_begins_with_this_version():
    """The newest entry of the change log is about the version in the code."""
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGES.md").read_text(), re.MULTILINE)
    assert newest.group(1) == sklearn_zoomout.__version__.partition(".dev")[0]
