"""Checks of what an estimator leaves alone: random states, files, the terminal."""

import contextlib
import io
import os
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.base import clone

from ._comparing import fitted_outputs, require
from ._given import Given


def _random_states() -> str:
    """Return a digest of the random states that belong to the user."""
    states = [random.getstate(), np.random.get_state()]
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state().numpy())
    return str(joblib.hash(states))


def check_global_random_state(estimator: Any, given: Given) -> None:
    """Global random states are neither set nor used."""
    fitted_outputs(estimator, given.X, given.y)  # it may import torch
    before = _random_states()
    fitted_outputs(estimator, given.X, given.y)
    require(_random_states() == before, "a global random state is used or set")


def check_global_settings(estimator: Any, given: Given) -> None:
    """The settings of scikit-learn, numpy's of errors, and the environment stay."""

    def settings() -> list[Any]:
        return [
            sklearn.get_config(),
            np.geterr(),
            dict(os.environ),
            warnings.filters[:],
        ]

    fitted_outputs(estimator, given.X, given.y)  # imports may set variables
    before = settings()
    fitted_outputs(estimator, given.X, given.y)
    require(settings() == before, "global settings or the environment are changed")


def check_no_warnings(estimator: Any, given: Given) -> None:
    """Good data give no warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted_outputs(estimator, given.X, given.y)
    # Warnings of names that will change are for developers.
    silent = (DeprecationWarning, PendingDeprecationWarning, ImportWarning)
    told = [
        f"{one.category.__name__}: {one.message}"
        for one in caught
        if not issubclass(one.category, (*silent, ResourceWarning))
    ]
    require(not told, f"good data give warnings: {told[:3]}")


def check_no_files_are_left(estimator: Any, given: Given) -> None:
    """No file is left in the working directory."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            fitted_outputs(estimator, given.X, given.y)
            left = sorted(path.name for path in Path(folder).rglob("*"))
        finally:
            os.chdir(here)
    require(not left, f"files are left in the working directory: {left[:5]}")


def check_nothing_is_printed(estimator: Any, given: Given) -> None:
    """Nothing is printed, unless ``verbose`` is set."""
    verbose = {
        name: False if isinstance(value, bool) else 0
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] == "verbose"
    }
    quiet = clone(estimator).set_params(**verbose)
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        fitted_outputs(quiet, given.X, given.y)
    printed = output.getvalue() + errors.getvalue()
    require(not printed, f"it prints {printed[:80]!r}")
