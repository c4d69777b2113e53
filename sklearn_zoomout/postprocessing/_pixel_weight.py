"""The weight of the pixels, chosen by the IoU of out-of-fold predictions."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from sklearn.base import clone

from ..exceptions import AbsentClassWarning, EmptyMaskWarning, MaskWarning
from ..masks import UNLABELED
from ..table import FeatureTable
from ._base import clone_with_classes
from ._pixel_folds import Groups, groups_of, split_pixels
from ._pixel_model import fit_forest, predict_by_forest
from ._pixels import DrawnPixels

#: The candidates for the weight.
WEIGHTS = np.array([0, 0.05, *np.arange(1, 10) / 10, 0.95, 1])
#: Lower probabilities count as this one, so that no vote is a veto.
FLOOR = 1e-3
# The forest of a fold. Few trees, of few draws each, are enough to compare weights.
_N_TREES, _N_DRAWS = 24, 1000
# Images of a first fold by which pixels are judged: no weight that gains less than this
# over 0 is worth other folds.
_LEAST_GAIN = 0.005
# Epochs of an estimator that is trained briefly for this.
_BRIEF_EPOCHS = 2


def weigh(proba: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Return log-probabilities times a weight.

    Parameters
    ----------
    proba : ndarray of float32 of shape (n, n_classes)
        Probabilities. Those below 0.001 count as 0.001.
    weight : float
        The weight.

    Returns
    -------
    ndarray of float32 of shape (n, n_classes)
    """
    return np.float32(weight) * np.log(np.maximum(proba, np.float32(FLOOR)))


def can_change(context: NDArray[np.float32], weight: float) -> NDArray[np.bool_]:
    """Return for which superpixels the pixels can overrule the most probable class.

    Parameters
    ----------
    context : ndarray of float32 of shape (n_segments, n_classes)
        The weighted log-probabilities of the superpixels.
    weight : float
        The weight of the pixels.

    Returns
    -------
    ndarray of bool of shape (n_segments,)
    """
    best = np.partition(context, -2, axis=1)[:, -2:]
    # The sum for a class is raised by at most this; rounding must not decide.
    largest = -weight * np.log(FLOOR) + 1e-4
    return best[:, 1] - best[:, 0] <= largest


@dataclass(frozen=True)
class OutOfFold:
    """What estimators say about pixels that they were not trained on.

    Attributes
    ----------
    scores : ndarray of float64 of shape (n_weights,)
        For each of `WEIGHTS`, the mean IoU of the labels, averaged with the mean IoU
        of the probabilities, of which a pixel adds a share to every class.
    images : list of ndarray of int64
        The images of each fold.
    context : ndarray of float32 of shape (n_rows, n_classes) or None
        The probabilities of the superpixels, 0 for those of no fold. None if strokes
        were held out, and not images.
    """

    scores: NDArray[np.float64]
    images: list[NDArray[np.int64]]
    context: NDArray[np.float32] | None


def predict_out_of_fold(
    estimator: Any,
    table: FeatureTable,
    masks: list[NDArray[Any]],
    codes: list[NDArray[np.int32]],
    pixels: DrawnPixels,
    classes: NDArray[np.int64],
    *,
    cv: int | None,
    seed: int,
    n_jobs: int | None,
) -> OutOfFold:
    """Predict held-out pixels, and score the weights.

    Parameters
    ----------
    estimator : estimator
        The estimator of superpixels. It is not fitted, but clones of it are.
    table : FeatureTable
        The features of the superpixels.
    masks : list of ndarray of integers of shape (height, width)
        The masks.
    codes : list of ndarray of int32 of shape (height, width)
        The same as positions in the list of classes.
    pixels : DrawnPixels
        The pixels to learn from and to predict.
    classes : ndarray of int64 of shape (n_classes,)
        The classes.
    cv : int or None
        Number of folds.
    seed : int
        Seed of the folds and of the forests.
    n_jobs : int or None
        How many trees to grow at once.

    Returns
    -------
    OutOfFold

    Raises
    ------
    ValueError
        If nothing can be held out, or the estimator cannot be fitted to a fold.
    """
    groups, folds, of_images = split_pixels(pixels, codes, cv, seed)
    if not folds:
        raise ValueError(
            "masks: expected a class with at least two labeled pixels, of which one "
            "can be held out, got none among n_pixels; label more, raise n_pixels, "
            "or pass a number as weight."
        )
    n, n_classes = len(pixels.codes), len(classes)
    near = np.zeros((n, n_classes), dtype=np.float32)
    context = np.zeros((n, n_classes), dtype=np.float32)
    rows = np.zeros((table.n_rows, n_classes), dtype=np.float32)
    images = [np.unique(pixels.images[held]) for held in folds]
    for k, (held, of_fold) in enumerate(zip(folds, images, strict=True), 1):
        left = _hold_out(masks, pixels, groups, held)
        near[held] = _predict_pixels(pixels, held, n_classes, seed, n_jobs)
        # Those of strokes are of this fold only; the next overwrites them.
        of_rows = np.isin(table.image_of_row, of_fold)
        labels = pixels.codes[held], pixels.shares[held]
        try:
            if of_images and k == 1:
                brief = _train_briefly(estimator)
                rows[of_rows] = _predict_context(brief, table, left, of_fold, classes)
                scores = score_weights(rows[pixels.rows[held]], near[held], *labels)
                if scores.max() < scores[0] + _LEAST_GAIN:
                    scores[1:] = np.minimum(scores[1:], scores[0])
                    return OutOfFold(scores, images, rows)
            rows[of_rows] = _predict_context(estimator, table, left, of_fold, classes)
        except ValueError as error:
            raise ValueError(
                f"cv: fold {k} of {len(folds)}: {error} Label more, or pass a number "
                "as weight."
            ) from error
        context[held] = rows[pixels.rows[held]]
    held = np.any(folds, axis=0)
    scores = score_weights(
        context[held], near[held], pixels.codes[held], pixels.shares[held]
    )
    return OutOfFold(scores, images, rows if of_images else None)


def score_weights(
    context: NDArray[np.float32],
    near: NDArray[np.float32],
    codes: NDArray[np.int64],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Score each of `WEIGHTS`, see `OutOfFold`.

    Parameters
    ----------
    context, near : ndarray of float32 of shape (n, n_classes)
        Probabilities of pixels by their superpixels, and by filters.
    codes : ndarray of int64 of shape (n,)
        Their classes.
    shares : ndarray of float64 of shape (n,)
        How many pixels each of them stands for.

    Returns
    -------
    ndarray of float64 of shape (n_weights,)
    """
    n_classes = context.shape[1]
    shape = len(WEIGHTS), n_classes, n_classes
    of_labels, of_proba = np.zeros(shape), np.zeros(shape)
    for i, weight in enumerate(WEIGHTS):
        sums = weigh(context, 1 - weight) + weigh(near, weight)
        np.add.at(of_labels[i], (codes, sums.argmax(axis=1)), shares)
        proba = special.softmax(sums, axis=1)
        np.add.at(of_proba[i], codes, proba * shares[:, None])
    # Labels of a few strokes jump from weight to weight; probabilities do not.
    return (_mean_iou(of_labels) + _mean_iou(of_proba)) / 2


def _hold_out(
    masks: list[NDArray[Any]],
    pixels: DrawnPixels,
    groups: Groups,
    held: NDArray[np.bool_],
) -> list[NDArray[np.int64]]:
    """Return the masks without the groups of the pixels that are held out."""
    out = np.unique(groups_of(pixels, groups)[held])
    return [
        np.where(np.isin(group, out), UNLABELED, mask)
        for mask, group in zip(masks, groups, strict=True)
    ]


def _train_briefly(estimator: Any) -> Any:
    """Return an estimator that is trained for few epochs, if it chooses their number.

    From what it says pixels gain rather more than from what the estimator says.
    """
    free = [
        name
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "max_epochs" and value is None
    ]
    brief = clone(estimator)
    return brief.set_params(**dict.fromkeys(free, _BRIEF_EPOCHS)) if free else brief


def _predict_context(
    estimator: Any,
    table: FeatureTable,
    masks: list[NDArray[np.int64]],
    images: NDArray[np.int64],
    classes: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Predict the superpixels of some images by an estimator of masks with holes."""
    fold = clone_with_classes(estimator, classes)
    with warnings.catch_warnings():
        # The fit to all images has warned of what the user can change.
        warnings.simplefilter("ignore", AbsentClassWarning)
        warnings.simplefilter("ignore", EmptyMaskWarning)
        warnings.simplefilter("ignore", MaskWarning)
        fold.fit(table, masks)
    part = table[images]
    proba = np.zeros((part.n_rows, len(classes)), dtype=np.float32)
    # A class that is absent from the fold has probability 0.
    columns = np.searchsorted(classes, fold.classes_)
    proba[:, columns] = fold.predict_superpixel_proba(part)
    return proba


def _predict_pixels(
    pixels: DrawnPixels,
    held: NDArray[np.bool_],
    n_classes: int,
    seed: int,
    n_jobs: int | None,
) -> NDArray[np.float32]:
    """Predict held-out pixels by a forest of the others."""
    others = pixels.features[~held], pixels.codes[~held], pixels.shares[~held]
    forest = fit_forest(*others, seed, n_jobs, _N_TREES, _N_DRAWS)
    return predict_by_forest(forest, n_classes)(pixels.features[held].T)


def _mean_iou(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean IoU of confusion matrices, (n, n_classes, n_classes).

    Classes of which no pixel was held out do not count.
    """
    hit = counts.diagonal(axis1=1, axis2=2)
    true = counts.sum(axis=2)
    union = counts.sum(axis=1) + true - hit
    held = true[0] > 0
    return np.mean(hit[:, held] / union[:, held], axis=1)
