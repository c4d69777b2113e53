"""The pages of the reference list every public name, and each has a docstring."""

import importlib
import inspect
import re

import pytest
from documentation_pages import DOCS

import sklearn_zoomout

SUBMODULES = [
    name
    for name in sklearn_zoomout.__all__
    if inspect.ismodule(getattr(sklearn_zoomout, name))
]


def public_names(module):
    """The names in ``__all__``, or without it those that the module defines."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [name for name in listed if not name.startswith("_")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (name.isupper() or getattr(value, "__module__", None) == module.__name__)
    ]


def listed_names():
    """All names in the lists of the reference, with their module."""
    for page in sorted((DOCS / "api").glob("*.md")):
        text = page.read_text()
        for module, names in re.findall(
            r"^\.\. currentmodule:: (\S+)\n\n\.\. autosummary::\n(.*?)^```$",
            text,
            flags=re.MULTILINE | re.DOTALL,
        ):
            for name in re.findall(r"^   (\w+)$", names, flags=re.MULTILINE):
                yield f"{module}.{name}"


def documented_modules():
    """Submodules that are public."""
    return SUBMODULES


def names_to_visit():
    """Every public name of the library, as (module, name)."""
    for name in sklearn_zoomout.__all__:
        if name not in SUBMODULES and not name.startswith("_"):
            yield "sklearn_zoomout", name
    for submodule in documented_modules():
        module = importlib.import_module(f"sklearn_zoomout.{submodule}")
        for name in public_names(module):
            yield module.__name__, name


LISTED = set(listed_names())


@pytest.mark.parametrize(("module", "name"), list(names_to_visit()))
def test_public_name_is_in_the_reference(module, name):
    """A public name has a place in the reference: its module's, or the top level's."""
    assert {f"{module}.{name}", f"sklearn_zoomout.{name}"} & LISTED


@pytest.mark.parametrize(("module", "name"), list(names_to_visit()))
def test_public_class_or_function_has_a_docstring(module, name):
    """The reference has something to show."""
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize(("module", "name"), list(names_to_visit()))
def test_public_methods_have_docstrings(module, name):
    """The page of a class lists its methods and properties, with what they do."""
    value = getattr(importlib.import_module(module), name)
    members = vars(value).items() if inspect.isclass(value) else ()
    without = [
        member
        for member, function in members
        if not member.startswith("_")
        and (inspect.isfunction(function) or isinstance(function, property))
        and not inspect.getdoc(getattr(value, member))
    ]
    assert not without


@pytest.mark.parametrize("path", sorted(LISTED))
def test_the_reference_lists_nothing_else(path):
    """What is listed exists, and is public."""
    module, _, name = path.rpartition(".")
    assert (module, name) in set(names_to_visit())


def test_every_public_submodule_has_a_page():
    """The pages of the reference are the public submodules."""
    pages = {page.stem for page in (DOCS / "api").glob("*.md")}
    assert pages - {"index"} == set(documented_modules())
