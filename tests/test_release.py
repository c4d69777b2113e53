"""What a release says about itself: versions, dependencies, the tested Pythons."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import sklearn_zoomout

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
# Names of distributions that conda-forge calls otherwise.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "opencv-python": "py-opencv",
    "torch": "pytorch",
}


def as_conda(requirements):
    """Return requirements of pip as conda-forge writes them, sorted."""
    lines = set()
    for requirement in map(Requirement, requirements):
        # The fourth number of opencv-python is that of the wheel.
        bound = re.sub(r"^(>=\d+\.\d+\.\d+)\.\d+$", r"\1", str(requirement.specifier))
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        lines.add(f"{name} {bound}")
    return sorted(lines)


def without_python(requirements):
    """Return requirements of the recipe that pyproject has, too, sorted."""
    own = ("python ", "pip")
    return sorted(line for line in requirements if not line.startswith(own))


def test_recipe_has_the_dependencies_of_the_package():
    """The same packages and lower bounds, by the names of conda-forge."""
    run = RECIPE["requirements"]["run"]
    assert without_python(run) == as_conda(PROJECT["dependencies"])


def test_recipe_bounds_what_is_optional():
    """Optional packages of the wrong version cannot be installed beside it."""
    extras = PROJECT["optional-dependencies"]
    optional = [
        line
        for name, lines in extras.items()
        if name not in ("docs", "tests")
        for line in lines
    ]
    assert sorted(RECIPE["requirements"]["run_constraints"]) == as_conda(optional)


def test_recipe_builds_with_the_same_tools():
    """Nothing is missing in the environment of the build, which has no network."""
    host = RECIPE["requirements"]["host"]
    assert without_python(host) == as_conda(PYPROJECT["build-system"]["requires"])


def test_recipe_has_the_python_and_the_licenses_of_the_package():
    """The oldest Python, the license expression and its files."""
    assert PROJECT["requires-python"] == f">={RECIPE['context']['python_min']}"
    assert RECIPE["about"]["license"] == PROJECT["license"]
    assert RECIPE["about"]["license_file"] == PROJECT["license-files"]


def test_recipe_builds_a_release():
    """It builds the released version, or the one before while the next is made."""
    released, here = (
        Version(text) for text in (RECIPE["context"]["version"], version())
    )
    assert not released.is_prerelease
    assert released == here or (here.is_devrelease and released <= release_of(here))


def test_citation_has_the_version_of_the_code():
    """Both are changed together."""
    assert CITATION["version"] == version()


def test_citation_names_the_paper():
    """The method is that of the paper, which is to be cited."""
    (paper,) = CITATION["references"]
    assert paper["url"] == "https://arxiv.org/abs/1412.0774"
    assert [author["family-names"] for author in paper["authors"]] == [
        "Mostajabi",
        "Yadollahpour",
        "Shakhnarovich",
    ]


def test_every_python_of_the_classifiers_is_tested():
    """The matrix of the CI has the versions that the package is said to run on."""
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    tested = ci["jobs"]["latest"]["strategy"]["matrix"]["python-version"]
    prefix = "Programming Language :: Python :: 3."
    named = [line[-len("3.11") :] for line in PROJECT["classifiers"] if prefix in line]
    assert tested == named


def test_links_of_the_readme_lead_to_the_release():
    """On the page of the package there are no files beside it to link to."""
    hook = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text()
    for change in hook["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20
    assert all(link.startswith("https://") for link in links)


def version():
    """Return the version of the code."""
    return sklearn_zoomout.__version__


def release_of(version):
    """Return the release that a development version leads to."""
    return Version(version.base_version)
