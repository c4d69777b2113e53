"""Checks of label maps, probabilities, classes and scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .. import metrics
from ._comparing import (
    errors_fail,
    fitted,
    outputs,
    per_image,
    require,
    require_same,
    skip,
)
from ._given import Given

_METRICS = ("mean_iou", "pixel_accuracy", "class_accuracy")


def _classes_of(estimator: Any) -> NDArray[Any]:
    """Return the classes of a fitted estimator, or of its last step."""
    classes = getattr(estimator, "classes_", None)
    require(classes is not None, "it has no classes_ after fit")
    return np.asarray(classes)


def _labels_in(masks: list[NDArray[Any]]) -> NDArray[Any]:
    labels = np.unique(np.concatenate([np.unique(mask) for mask in masks]))
    return labels[labels >= 0]


def _has_labels_in_params(estimator: Any) -> bool:
    """Return whether parameters name labels, so that others cannot be tried."""
    return any(
        (name.rpartition("__")[2] == "classes" and value is not None)
        or (name.rpartition("__")[2] == "class_weight" and isinstance(value, dict))
        or (name.rpartition("__")[2] == "background" and value is not None)
        for name, value in estimator.get_params().items()
    )


def check_classes(estimator: Any, given: Given) -> None:
    """``classes_`` has the labels of the masks, sorted, each once."""
    classes = _classes_of(fitted(estimator, given))
    require(classes.ndim == 1, "classes_ is no array of one axis")
    require(classes.dtype.kind in "iu", f"classes_ is of {classes.dtype}")
    require(bool((np.diff(classes) > 0).all()), "classes_ is not sorted")
    missing = sorted(set(_labels_in(given.y).tolist()) - set(classes.tolist()))
    require(not missing, f"classes_ lacks the labels {missing}")
    if not _has_labels_in_params(estimator):
        surplus = sorted(set(classes.tolist()) - set(_labels_in(given.y).tolist()))
        require(not surplus, f"classes_ has labels that no mask has: {surplus}")


def check_labels_are_classes(estimator: Any, given: Given) -> None:
    """Predict returns labels of ``classes_`` only."""
    estimator = fitted(estimator, given)
    found = _labels_in(per_image(estimator.predict(given.X)))
    others = sorted(set(found.tolist()) - set(_classes_of(estimator).tolist()))
    require(not others, f"predict returns labels that are no classes: {others}")


def check_labels_of_any_value(estimator: Any, given: Given) -> None:
    """Classes need not be 0, 1, 2, ...; their values are those of the masks."""
    if _has_labels_in_params(estimator):
        skip("its parameters name labels")
    known = _labels_in(given.y)
    values = 10 * np.arange(1, len(known) + 1) + 100
    table = np.append(values, -1)
    expected = per_image(fitted(estimator, given).predict(given.X))
    masks = [_recode(mask, known, table) for mask in given.y]
    with errors_fail("labels of other values are refused"):
        again = clone(estimator).fit(given.X, masks)
        found = per_image(again.predict(given.X))
    same = np.array_equal(_classes_of(again), values)
    require(same, "classes_ does not have the labels of the masks")
    wanted = [_recode(labels, known, table) for labels in expected]
    require_same(found, wanted, "labels of other values are learned otherwise")


def _recode(mask: NDArray[Any], known: NDArray[Any], values: NDArray[Any]) -> Any:
    codes = np.searchsorted(known, mask)
    return np.where(mask < 0, -1, values[np.minimum(codes, len(known))])


def check_unlabeled_pixels(estimator: Any, given: Given) -> None:
    """Pixels of -1 are not learned, and never predicted."""
    masks = [mask.copy() for mask in given.y]
    for mask in masks:
        mask[:3] = -1
    with errors_fail("masks with unlabeled pixels, -1, are refused"):
        estimator = clone(estimator).fit(given.X, masks)
    require(-1 not in _classes_of(estimator), "-1 is learned as a class")
    for labels in per_image(estimator.predict(given.X)):
        require(labels.min() >= 0, "predict returns -1 for pixels that have data")


def check_unlabeled_image(estimator: Any, given: Given) -> None:
    """An image without any label is left out, and does not stop the fit."""
    masks = [np.full_like(given.y[0], -1), *given.y[1:]]
    with errors_fail("an image without a label is refused"):
        found = outputs(clone(estimator).fit(given.X, masks), given.X)
    require(len(found) >= len(masks), "the image without a label is not predicted")


def _probabilities(estimator: Any, given: Given) -> list[NDArray[Any]]:
    if not hasattr(estimator, "predict_proba"):
        skip("it has no predict_proba")
    return per_image(estimator.predict_proba(given.X))


def check_probabilities_sum_to_one(estimator: Any, given: Given) -> None:
    """Probabilities are in 0..1, one for each class, and their sum is 1."""
    estimator = fitted(estimator, given)
    n_classes = len(_classes_of(estimator))
    for proba in _probabilities(estimator, given):
        message = f"predict_proba returns shape {proba.shape} of {n_classes} classes"
        require(proba.ndim == 3 and proba.shape[2] == n_classes, message)
        within = proba.min() >= 0 and proba.max() <= 1 + 1e-5
        require(within, "predict_proba returns values outside of 0..1")
        off = np.abs(proba.sum(axis=2) - 1).max()
        require(off < 1e-3, f"probabilities sum to something else than 1, by {off}")


def check_probabilities_agree_with_labels(estimator: Any, given: Given) -> None:
    """The label of a pixel is its most probable class."""
    estimator = fitted(estimator, given)
    classes = _classes_of(estimator)
    for labels, proba in zip(
        per_image(estimator.predict(given.X)),
        _probabilities(estimator, given),
        strict=True,
    ):
        codes = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        chosen = np.take_along_axis(proba, codes[..., None], axis=2)[..., 0]
        right = bool((chosen >= proba.max(axis=2) - 1e-5).all())
        require(right, "predict does not return the most probable class")


def check_probabilities_of_superpixels(estimator: Any, given: Given) -> None:
    """predict_superpixel_proba returns a row of sum 1 for every superpixel."""
    estimator = fitted(estimator, given)
    if not hasattr(estimator, "predict_superpixel_proba"):
        skip("it has no predict_superpixel_proba")
    rows = np.asarray(estimator.predict_superpixel_proba(given.X))
    expected = (given.X.n_rows, len(_classes_of(estimator)))
    message = f"predict_superpixel_proba returns shape {rows.shape}, not {expected}"
    require(rows.shape == expected, message)
    sums = np.abs(rows.sum(axis=1) - 1).max()
    require(sums < 1e-3, "rows of predict_superpixel_proba do not sum to 1")


def _score(estimator: Any, given: Given, masks: Any = None) -> float:
    if not hasattr(estimator, "score"):
        skip("it has no score")
    return float(estimator.score(given.X, given.y if masks is None else masks))


def check_score_is_a_share(estimator: Any, given: Given) -> None:
    """The score is a number from 0 to 1."""
    score = _score(fitted(estimator, given), given)
    require(0 <= score <= 1, f"the score is {score}, not from 0 to 1")


def check_score_is_a_measure(estimator: Any, given: Given) -> None:
    """The score is the mean IoU of the predictions, or another measure of `metrics`."""
    estimator = fitted(estimator, given)
    score, labels = _score(estimator, given), estimator.predict(given.X)
    measures = {name: getattr(metrics, name)(given.y, labels) for name in _METRICS}
    known = any(np.isclose(score, value) for value in measures.values())
    require(known, f"the score is {score}, but the measures are {measures}")


def check_perfect_score(estimator: Any, given: Given) -> None:
    """The score against the estimator's own predictions is 1."""
    estimator = fitted(estimator, given)
    masks = [
        labels.astype(np.int64) for labels in per_image(estimator.predict(given.X))
    ]
    score = _score(estimator, given, masks)
    require(np.isclose(score, 1), f"the score of right labels is {score}, not 1")


def check_score_leaves_unlabeled_pixels_out(estimator: Any, given: Given) -> None:
    """Pixels of -1 do not count in the score."""
    estimator = fitted(estimator, given)
    pairs = zip(given.y, per_image(estimator.predict(given.X)), strict=True)
    # Only pixels that are predicted right are left, and none of the first row.
    masks = [np.where(mask == labels, mask, -1) for mask, labels in pairs]
    for mask in masks:
        mask[0] = -1
    if any((mask < 0).all() for mask in masks):
        skip("an image has no pixel that is predicted right")
    score = _score(estimator, given, masks)
    require(np.isclose(score, 1), "unlabeled pixels, -1, count in the score")


def check_scorer(estimator: Any, given: Given) -> None:
    """The scorers of `metrics` work with it."""
    estimator = fitted(estimator, given)
    labels = estimator.predict(given.X)
    for name in _METRICS:
        scorer = getattr(metrics, f"{name}_scorer")
        with errors_fail(f"{name}_scorer fails"):
            score = scorer(estimator, given.X, given.y)
        expected = getattr(metrics, name)(given.y, labels)
        message = f"{name}_scorer returns {score}, not {expected}"
        require(np.isclose(score, expected), message)


def check_features_in(estimator: Any, given: Given) -> None:
    """``n_features_in_`` and ``feature_names_in_`` are the columns of fit."""
    estimator = fitted(estimator, given)
    n = getattr(estimator, "n_features_in_", None)
    expected = given.X.n_columns
    require(n == expected, f"n_features_in_ is {n}, not {expected}")
    names = getattr(estimator, "feature_names_in_", None)
    same = names is not None and list(names) == given.X.columns
    require(same, "feature_names_in_ does not have the names of the columns of fit")
