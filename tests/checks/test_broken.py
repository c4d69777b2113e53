"""Every check finds the fault that it is for, and lets right estimators pass."""

import re
from inspect import signature

import broken_labelers
import broken_transformers
import numpy as np
import pytest
import sklearn
from toy_estimators import ToyClassifier, ToyLevel, ToySegmenter

from sklearn_zoomout.checks import KINDS, image_checks_generator
from sklearn_zoomout.checks._battery import checks_of

# They start processes, each of which imports all libraries.
OF_PROCESSES = {"backend_loky", "backend_multiprocessing"}
CAUGHT = [
    pytest.param(
        *(name, broken, says),
        marks=[pytest.mark.slow] if name in OF_PROCESSES else [],
        id=f"{name}-{broken.__name__}",
    )
    for module in (broken_transformers, broken_labelers)
    for name, many in module.BROKEN.items()
    for broken, says in many.items()
]


def kind_of(broken):
    """The kind of a subclass of a toy."""
    if issubclass(broken, ToyClassifier):
        return "classifier"
    return "segmenter" if issubclass(broken, ToySegmenter) else "level"


def make(broken):
    """An instance with parameters that show its fault."""
    params = broken_labelers.PARAMS.get(broken, {})
    if issubclass(broken, ToyLevel) and "offsets" in signature(broken).parameters:
        params = {"gain": 2.0, "offsets": [0, 0, 0]}
    return broken(**params)


@pytest.mark.parametrize(("name", "broken", "says"), CAUGHT)
def test_the_fault_is_found(name, broken, says):
    """The check that a broken estimator is for raises, and says why."""
    estimator = make(broken)
    checks = {
        check.__name__: check
        for _, check in image_checks_generator(estimator, kind=kind_of(broken))
    }
    with (
        np.errstate(),
        sklearn.config_context(),
        pytest.raises(AssertionError, match=re.escape(says)),
    ):
        checks[f"check_{name}"](estimator)


def test_every_check_has_a_broken_estimator():
    """A check that cannot fail is useless."""
    known = {check.__name__ for kind in KINDS.values() for check in checks_of(kind)}
    broken = {*broken_transformers.BROKEN, *broken_labelers.BROKEN}
    assert known == {f"check_{name}" for name in broken}
