"""Find out by trial what kind of step an estimator is."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from ..superpixels import Superpixels
from ..table import FeatureTable
from ._given import make_given
from ._kind import KINDS, Kind, name_of_kind


def kind_of_estimator(estimator: Any, *, images: Any = None, masks: Any = None) -> str:
    """Find out by trial what an estimator takes and what it returns.

    A clone is fitted to images, or else to `Superpixels`, or else to a `FeatureTable`.
    The first of them that is taken without an error decides, together with what
    ``predict`` or, if there is none, ``transform`` returns.

    Parameters
    ----------
    estimator : estimator
        An estimator. It is not changed.
    images : sequence of array-like of shape (height, width, n_channels), default=None
        Images to try it on. None takes small made-up ones.
    masks : sequence of array-like of int of shape (height, width), default=None
        Their masks.

    Returns
    -------
    str
        A name among `KINDS`.

    Raises
    ------
    TypeError
        If it takes none of the three, or returns something else.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures
    >>> from sklearn_zoomout.checks import kind_of_estimator
    >>> kind_of_estimator(LocalFeatures(("color",)))
    'level'
    """
    refusals = []
    for kind in ("segmenter", "level", "classifier"):
        given = make_given(KINDS[kind], images, masks)
        taken = given.kind.input
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                output = _output_of(clone(estimator), given.X, given.masks)
        except Exception as error:
            refusals.append(f"{taken}: {type(error).__name__}: {error}")
            continue
        found = Kind(taken, _name_of_output(output))
        if found in KINDS.values():
            return name_of_kind(found)
        refusals.append(f"{taken}: it returns {type(output).__name__}")
    raise TypeError(
        f"{type(estimator).__name__}: expected an estimator of images, of Superpixels "
        "or of a FeatureTable that returns Superpixels, a FeatureTable or label maps; "
        "if it is one, say which, such as kind='level', to see what fails. It was "
        "tried with\n" + "\n".join(refusals)
    )


def _output_of(estimator: Any, X: Any, y: Any) -> Any:
    """Return what an estimator returns for the data of its fit."""
    estimator.fit(X, y)
    name = "predict" if hasattr(estimator, "predict") else "transform"
    return getattr(estimator, name)(X)


def _name_of_output(output: Any) -> str:
    """Return the name of an output in a `Kind`, or an empty one."""
    if isinstance(output, Superpixels):
        return "superpixels"
    if isinstance(output, FeatureTable):
        return "table"
    maps = list(output) if hasattr(output, "__len__") else []
    are_maps = all(np.ndim(item) == 2 for item in maps)
    return "labels" if maps and are_maps else ""
