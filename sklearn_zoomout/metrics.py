"""Measures of predicted label maps (sections 4.4 and 4.5).

Every measure is computed from the pixels of all images together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics._scorer import _Scorer

from .labels import check_known_labels, encode_labels
from .masks import UNLABELED, check_masks, distinct_labels

__all__ = [
    "class_accuracy",
    "class_accuracy_scorer",
    "confusion_matrix",
    "iou_per_class",
    "mean_iou",
    "mean_iou_scorer",
    "pixel_accuracy",
    "pixel_accuracy_scorer",
    "recall_per_class",
    "segmentation_report",
    "segmentation_scorer",
]

# Lists of arrays, or the object arrays that classifiers predict.
LabelMaps = Sequence[Any] | NDArray[np.object_]


def confusion_matrix(
    y_true: LabelMaps, y_pred: LabelMaps, *, labels: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Count the pixels of every pair of true and predicted class.

    Parameters
    ----------
    y_true : sequence of array-like of integers of shape (height, width)
        True label maps. Their sizes may differ. Unlabeled pixels (-1) are ignored. Any
        other mark of them, such as 255, counts as a class unless `mark_unlabeled` has
        turned it into -1.
    y_pred : sequence of array-like of integers of shape (height, width)
        Predicted label maps.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of the rows. None takes the labels of ``y_true`` and
        those predicted for its labeled pixels, sorted.

    Returns
    -------
    ndarray of int64 of shape (n_classes, n_classes)
        Rows are true classes, and columns are predicted classes.

    Raises
    ------
    ValueError
        If the numbers or the shapes of the label maps differ, or a label is not in
        ``labels``.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import confusion_matrix
    >>> confusion_matrix([[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]])
    array([[1, 1],
           [0, 1]])
    """
    return _count(y_true, y_pred, labels)[1]


def iou_per_class(
    y_true: LabelMaps, y_pred: LabelMaps, *, labels: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Compute the intersection over union of every class.

    Parameters
    ----------
    y_true, y_pred, labels
        See `confusion_matrix`.

    Returns
    -------
    ndarray of float64 of shape (n_classes,)
        Between 0 and 1. NaN for a class that is neither true nor predicted anywhere.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import iou_per_class
    >>> iou_per_class([[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]], labels=[0, 1, 2])
    array([0.5, 0.5, nan])
    """
    counts = _count(y_true, y_pred, labels)[1]
    return _measures(counts)[:, 0]


def recall_per_class(
    y_true: LabelMaps, y_pred: LabelMaps, *, labels: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Compute the share of every class's pixels that are predicted correctly.

    Parameters
    ----------
    y_true, y_pred, labels
        See `confusion_matrix`.

    Returns
    -------
    ndarray of float64 of shape (n_classes,)
        Between 0 and 1. NaN for a class without a true pixel.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import recall_per_class
    >>> recall_per_class([[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]])
    array([0.5, 1. ])
    """
    counts = _count(y_true, y_pred, labels)[1]
    return _measures(counts)[:, 1]


def mean_iou(
    y_true: LabelMaps, y_pred: LabelMaps, *, labels: ArrayLike | None = None
) -> float:
    """Compute the mean over classes of the intersection over union.

    Parameters
    ----------
    y_true, y_pred, labels
        See `confusion_matrix`.

    Returns
    -------
    float
        Between 0 and 1. Classes that are neither true nor predicted are ignored.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import mean_iou
    >>> mean_iou([[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]], labels=[0, 1, 2])
    0.5
    """
    iou = iou_per_class(y_true, y_pred, labels=labels)
    return float(np.nanmean(iou))


def pixel_accuracy(
    y_true: LabelMaps, y_pred: LabelMaps, *, labels: ArrayLike | None = None
) -> float:
    """Compute the share of labeled pixels that are predicted correctly.

    Parameters
    ----------
    y_true, y_pred, labels
        See `confusion_matrix`.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import pixel_accuracy
    >>> pixel_accuracy([[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]])
    0.667
    """
    counts = _count(y_true, y_pred, labels)[1]
    return float(counts.trace() / counts.sum())


def class_accuracy(
    y_true: LabelMaps, y_pred: LabelMaps, *, labels: ArrayLike | None = None
) -> float:
    """Compute the mean over classes of the recall.

    Parameters
    ----------
    y_true, y_pred, labels
        See `confusion_matrix`.

    Returns
    -------
    float
        Between 0 and 1. Classes without a true pixel are ignored.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import class_accuracy
    >>> class_accuracy([[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]])
    0.75
    """
    recall = recall_per_class(y_true, y_pred, labels=labels)
    return float(np.nanmean(recall))


def segmentation_report(
    y_true: LabelMaps,
    y_pred: LabelMaps,
    *,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    digits: int = 1,
) -> str:
    """Return a table of the measures of each class and their means, in percent.

    Some measures of a class may be undefined, such as the precision of a class that is
    never predicted. They are shown as "-" and left out of the mean.

    Parameters
    ----------
    y_true, y_pred, labels
        See `confusion_matrix`.
    class_names : sequence of str or mapping of int to str, default=None
        Names of the classes. A sequence names label k at position k. None shows the
        labels themselves.
    digits : int, default=1
        Digits after the decimal point.

    Returns
    -------
    str

    Examples
    --------
    >>> from sklearn_zoomout.metrics import segmentation_report
    >>> truth, prediction = [[[0, 0, 1, -1]]], [[[0, 1, 1, 1]]]
    >>> print(segmentation_report(truth, prediction, class_names=["sky", "tree"]))
                 IoU  recall  precision  pixels
    sky         50.0    50.0      100.0       2
    tree        50.0   100.0       50.0       1
    <BLANKLINE>
    mean        50.0    75.0       75.0       3
    pixel accuracy 66.7
    """
    classes, counts = _count(y_true, y_pred, labels)
    if class_names is None:
        class_names = {label: str(label) for label in classes.tolist()}
    elif not isinstance(class_names, Mapping):
        class_names = dict(enumerate(class_names))
    unnamed = [label for label in classes.tolist() if label not in class_names]
    if unnamed:
        raise ValueError(
            f"class_names: no name for the labels {unnamed}; got names for "
            f"{list(class_names)}."
        )
    names = [class_names[label] for label in classes.tolist()]
    true, measures = counts.sum(axis=1), _measures(counts)
    width = max(len(name) for name in [*names, "mean"])
    header = ("IoU", "recall", "precision", "pixels")
    widths = [max(len(title), digits + 4) for title in header]
    widths[-1] = max(widths[-1], len(str(true.sum())))

    def line(name: str, cells: Sequence[str]) -> str:
        aligned = (c.rjust(w) for c, w in zip(cells, widths, strict=True))
        return f"{name:<{width}}  {'  '.join(aligned)}"

    def percent(values: NDArray[Any]) -> list[str]:
        return ["-" if np.isnan(v) else f"{100 * v:.{digits}f}" for v in values]

    rows = [
        line(name, [*percent(row), str(pixels)])
        for name, row, pixels in zip(names, measures, true, strict=True)
    ]
    mean = line("mean", [*percent(np.nanmean(measures, axis=0)), str(true.sum())])
    accuracy = f"pixel accuracy {100 * counts.trace() / counts.sum():.{digits}f}"
    return "\n".join([line("", header), *rows, "", mean, accuracy])


class _SegmentationScorer(_Scorer):
    # With several measures, scikit-learn predicts only once if all scorers are of its
    # own class.
    def _score(
        self,
        method_caller: Callable[..., Any],
        estimator: Any,
        X: Any,
        y_true: Any,
        **kwargs: Any,
    ) -> float:
        check_known_labels(y_true, getattr(estimator, "classes_", None))
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


class _WherePredicted:
    """A measure of the pixels that have data; others are predicted as -1."""

    def __init__(self, metric: Callable[..., float]) -> None:
        self._metric = metric
        self.__name__ = getattr(metric, "__name__", repr(metric))

    def __call__(self, y_true: Any, y_pred: Any, **kwargs: Any) -> float:
        if len(y_true) == len(y_pred):  # otherwise, the measure says so
            known = (np.asarray(predicted) != UNLABELED for predicted in y_pred)
            y_true = [
                m if has.all() else np.where(has, np.asarray(m, np.int64), UNLABELED)
                for m, has in zip(y_true, known, strict=True)
            ]
        return self._metric(y_true, y_pred, **kwargs)


def segmentation_scorer(metric: Callable[..., float]) -> Callable[..., float]:
    """Make a scorer for `GridSearchCV` or `cross_val_score` from a measure.

    Parameters
    ----------
    metric : callable
        `mean_iou`, `pixel_accuracy`, `class_accuracy`, or a function of
        ``(y_true, y_pred)`` of your own. Higher values must be better.

    Returns
    -------
    callable
        ``scorer(estimator, images, masks)``. Pixels without data do not count. A mask
        with a label that is none of the estimator's classes is a ValueError.

    Examples
    --------
    >>> from sklearn_zoomout.metrics import iou_per_class, segmentation_scorer
    >>> def iou_of_trees(y_true, y_pred):
    ...     return iou_per_class(y_true, y_pred, labels=[0, 1])[1]
    >>> scorer = segmentation_scorer(iou_of_trees)
    """
    return _SegmentationScorer(_WherePredicted(metric), 1, {}, "predict")


mean_iou_scorer = segmentation_scorer(mean_iou)
pixel_accuracy_scorer = segmentation_scorer(pixel_accuracy)
class_accuracy_scorer = segmentation_scorer(class_accuracy)


def _count(
    y_true: Any, y_pred: Any, labels: Any
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes in the order of ``labels``, and their confusion matrix."""
    pairs = list(_labeled_pixels(y_true, y_pred))
    if labels is None:
        found = (distinct_labels(pixels) for pair in pairs for pixels in pair)
        labels = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    else:
        _check_listed(pairs, labels)
    labels = np.asarray(labels)
    classes, order = np.unique(labels, return_inverse=True)
    n = len(classes)
    if n < len(labels):
        raise ValueError(f"labels: expected distinct classes, got {labels.tolist()}.")
    counts = np.zeros(n * n, dtype=np.int64)
    for i, (true, predicted) in enumerate(pairs):
        rows = encode_labels(true, classes, f"y_true[{i}]")
        columns = encode_labels(predicted, classes, f"y_pred[{i}]")
        counts += np.bincount(rows * n + columns, minlength=n * n)
    if not counts.any():
        raise ValueError(
            "y_true: expected labels of 0 or more, got none; all pixels are unlabeled "
            "(-1). In cross-validation, test on images that have labels."
        )
    return labels, counts.reshape(n, n)[np.ix_(order, order)]


def _check_listed(pairs: list[tuple[NDArray[Any], NDArray[Any]]], labels: Any) -> None:
    """Raise an error if a pixel has a class that is not among ``labels``."""
    for i, pair in enumerate(pairs):
        for name, pixels in zip(("y_true", "y_pred"), pair, strict=True):
            unknown = np.setdiff1d(distinct_labels(pixels), labels)
            if len(unknown):
                raise ValueError(
                    f"{name}[{i}]: expected labels in {np.asarray(labels).tolist()}, "
                    f"got {unknown.tolist()}; if one of them marks unlabeled pixels, "
                    "convert it to -1 with mark_unlabeled."
                )


def _labeled_pixels(
    y_true: Any, y_pred: Any
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the true and the predicted labels of every image's labeled pixels."""
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_pred: expected as many label maps as in y_true, {len(y_true)}, got "
            f"{len(y_pred)}."
        )
    y_true = check_masks(y_true, [np.asarray(mask) for mask in y_true], "y_true")
    y_pred = check_masks(y_pred, y_true, "y_pred")
    for i, (true, predicted) in enumerate(zip(y_true, y_pred, strict=True)):
        labeled = true != UNLABELED
        true, predicted = true[labeled], predicted[labeled]
        if (predicted == UNLABELED).any():
            raise ValueError(
                f"y_pred[{i}]: expected a class for every labeled pixel, got -1 "
                "(unlabeled); replace it by a class, or unlabel what has no data."
            )
        yield true.ravel(), predicted.ravel()


def _measures(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute IoU, recall and precision, the columns of an (n_classes, 3) array."""
    hit, true, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    total = np.stack([true + predicted - hit, true, predicted], axis=1)
    with np.errstate(invalid="ignore"):
        return hit[:, None] / total
