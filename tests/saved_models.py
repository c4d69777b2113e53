"""Fitted models that are saved, and comparisons of what is loaded."""

import re

import numpy as np
from sklearn.pipeline import Pipeline

from sklearn_zoomout import (
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    load_model,
    save_model,
)


def make_model(level=None, classifier=None, segmenter=None):
    """Return a pipeline that is fast to fit."""
    if level is None:
        level = LocalFeatures(("color", "location"))
    if classifier is None:
        classifier = ZoomoutClassifier((4,), max_epochs=2, random_state=0)
    if segmenter is None:
        segmenter = SuperpixelSegmenter(n_segments=40)
    return Pipeline([("superpixels", segmenter), ("level", level), ("c", classifier)])


def round_trip(model, folder, trusted=()):
    """Save and load a model."""
    path = folder / "model.zoomout"
    save_model(model, path)
    return load_model(path, trusted=trusted)


def assert_same(loaded, model, images):
    """Check that two models give equal labels, and equal probabilities if they can."""
    for name in ("predict", "predict_proba"):
        if hasattr(model, name):
            pairs = zip(
                getattr(loaded, name)(images),
                getattr(model, name)(images),
                strict=True,
            )
            assert all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    assert _print(loaded) == _print(model)
    assert list(loaded.get_params()) == list(model.get_params())


def _print(model):
    """Return how a model prints, without addresses in memory."""
    return re.sub(r" at 0x\w+", "", repr(model))
