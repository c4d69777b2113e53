"""What `import sklearn_zoomout` loads, and the names that it has."""

import json
import subprocess
import sys

import pytest

import sklearn_zoomout

HEAVY = {"cv2", "matplotlib", "skorch", "torch", "torchvision"}


def modules_after(statement):
    """Return the names of the top-level modules that a new interpreter has loaded."""
    code = f"{statement}; import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_import_takes_no_heavy_library():
    """torch and the like are imported when they are used."""
    assert not modules_after("import sklearn_zoomout") & HEAVY


def test_listing_the_names_takes_no_heavy_library():
    """Completion in an editor or shell calls dir()."""
    assert not modules_after("import sklearn_zoomout; dir(sklearn_zoomout)") & HEAVY


def test_describing_a_network_takes_no_heavy_library():
    """The network is built when it is needed."""
    statement = "from sklearn_zoomout import Backbone; Backbone(fine_tune=True)"
    assert not modules_after(statement) & HEAVY


@pytest.mark.parametrize("name", sklearn_zoomout.__all__)
def test_public_name_resolves(name):
    """Every name in __all__ exists and has a docstring."""
    thing = getattr(sklearn_zoomout, name)
    assert name in dir(sklearn_zoomout)
    assert thing.__doc__


def test_star_import_gives_the_public_names():
    """`from sklearn_zoomout import *` defines exactly the names in __all__."""
    namespace = {}
    exec("from sklearn_zoomout import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(sklearn_zoomout.__all__)


def test_unknown_name_is_an_attribute_error():
    """A misspelt name raises what Python promises, so hasattr() works."""
    with pytest.raises(AttributeError, match="ZoomoutClasifier"):
        _ = sklearn_zoomout.ZoomoutClasifier
