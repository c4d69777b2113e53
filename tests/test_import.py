"""What `import sklearn_zoomout` costs, and what it offers."""

import json
import subprocess
import sys

import pytest

import sklearn_zoomout

HEAVY = {"cv2", "matplotlib", "skorch", "torch", "torchvision"}


def modules_after(statement):
    """Names of the top-level modules that a fresh interpreter holds after it."""
    code = f"{statement}; import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_import_takes_no_heavy_library():
    """Importing the package leaves torch and the like for when they are used."""
    assert not modules_after("import sklearn_zoomout") & HEAVY


def test_listing_the_names_takes_no_heavy_library():
    """Completion in an editor or shell, which calls dir(), stays light too."""
    assert not modules_after("import sklearn_zoomout; dir(sklearn_zoomout)") & HEAVY


@pytest.mark.parametrize("name", sklearn_zoomout.__all__)
def test_public_name_resolves(name):
    """Every name in __all__ exists and tells what it is."""
    thing = getattr(sklearn_zoomout, name)
    assert name in dir(sklearn_zoomout)
    assert thing.__doc__


def test_star_import_gives_the_public_names():
    """`from sklearn_zoomout import *` gives exactly the names in __all__."""
    namespace = {}
    exec("from sklearn_zoomout import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(sklearn_zoomout.__all__)


def test_unknown_name_is_an_attribute_error():
    """A misspelt name raises what Python promises, so hasattr() works."""
    with pytest.raises(AttributeError, match="ZoomoutClasifier"):
        _ = sklearn_zoomout.ZoomoutClasifier
