"""Labels of the rows of a table, and back; weights of the classes (section 2.2)."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .exceptions import AbsentClassWarning, EmptyMaskWarning
from .images import iter_masks
from .labels import distinct_labels, encode_labels, majority_votes
from .table import FeatureTable

_NO_LABEL = -1


@dataclass(frozen=True)
class LabeledRows:
    """The rows that have a label.

    Attributes
    ----------
    rows : ndarray of int64 of shape (n_labeled,)
        Row numbers, ascending.
    codes : ndarray of int64 of shape (n_labeled,)
        Their classes, as positions in ``classes``.
    images : ndarray of int64 of shape (n_labeled,)
        The images that they belong to.
    classes : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    images: NDArray[np.int64]
    classes: NDArray[np.int64]

    def of_images(self, images: NDArray[Any]) -> "LabeledRows":
        """Give those of some images."""
        chosen = np.isin(self.images, images)
        return LabeledRows(
            self.rows[chosen], self.codes[chosen], self.images[chosen], self.classes
        )

    def frequency(self) -> NDArray[np.float64]:
        """Give the share of every class, of sum 1 (section 2.2)."""
        counts = np.bincount(self.codes, minlength=len(self.classes))
        return counts / counts.sum()


def label_rows(
    table: FeatureTable,
    masks: Sequence[ArrayLike],
    classes: NDArray[np.int64] | None,
    void_label: int | None,
) -> LabeledRows:
    """Label the rows of a table by the majority of their pixels.

    Parameters
    ----------
    table : FeatureTable
        The features of the superpixels.
    masks : sequence of array-like of integers of shape (height, width)
        A label map for every image of the table.
    classes : ndarray of int64 of shape (n_classes,) or None
        The classes, sorted; None takes all labels of the masks.
    void_label : int or None
        The label of pixels that have none.

    Returns
    -------
    LabeledRows

    Warns
    -----
    EmptyMaskWarning
        If a mask is all void; its image is left out.

    Raises
    ------
    ValueError
        If a mask does not fit its image, has a label that is none of the classes,
        or if all masks are void.
    """
    # One mask is read at a time: those of many images do not fit in memory.
    labels, present = [], []
    for i, (segmented, mask) in enumerate(
        zip(table.superpixels, iter_masks(masks, table.superpixels), strict=True)
    ):
        present.append(distinct_labels(mask, void_label))
        _refuse_negative(present[i], i)
        known = present[i] if classes is None else classes
        codes = encode_labels(mask, known, void_label, f"masks[{i}]")
        best = majority_votes(segmented, codes, len(known))
        labels.append(np.append(known, _NO_LABEL)[best])
    empty = [i for i, found in enumerate(present) if len(found) == 0]
    if len(empty) == len(present):
        raise ValueError(
            f"masks: none of the {len(present)} masks has a pixel with a label other "
            f"than the void label {void_label}."
        )
    if empty:
        warnings.warn(
            f"masks{empty}: no pixel has a label other than the void label "
            f"{void_label}; these images take no part in training.",
            EmptyMaskWarning,
            stacklevel=3,
        )
    known = np.unique(np.concatenate(present)) if classes is None else classes
    label_of_row = np.concatenate(labels)
    rows = np.flatnonzero(label_of_row != _NO_LABEL)
    codes = np.searchsorted(known, label_of_row[rows])
    return LabeledRows(rows, codes, table.image_of_row[rows], known)


def _refuse_negative(labels: NDArray[np.int64], i: int) -> None:
    if len(labels) and labels[0] < 0:
        raise ValueError(
            f"masks[{i}]: expected labels >= 0, got {labels[0]}; if it marks pixels "
            f"that have no label, pass void_label={labels[0]}."
        )


def check_classes(
    classes: ArrayLike | None, void_label: int | None
) -> NDArray[np.int64] | None:
    """Check declared classes and sort them.

    Parameters
    ----------
    classes : array-like of integers or None
        The classes that a user declared.
    void_label : int or None
        The label of pixels that have none.

    Returns
    -------
    ndarray of int64 of shape (n_classes,) or None

    Raises
    ------
    ValueError
        If they are not at least two distinct labels other than void.
    """
    if classes is None:
        return None
    declared = np.asarray(classes)
    if declared.ndim != 1 or declared.dtype.kind not in "iu":
        raise ValueError(
            "classes: expected a list of integer labels, got an array of dtype "
            f"{declared.dtype} and shape {declared.shape}."
        )
    distinct = np.unique(declared).astype(np.int64)
    if len(distinct) < max(len(declared), 2) or void_label in distinct.tolist():
        raise ValueError(
            "classes: expected two or more distinct labels without the void label "
            f"{void_label}, got {declared.tolist()}."
        )
    return distinct


def hold_out(
    labeled: LabeledRows, fraction: float | None, rng: np.random.RandomState
) -> tuple[LabeledRows, LabeledRows | None]:
    """Split off the rows of a share of the images.

    Parameters
    ----------
    labeled : LabeledRows
        All labeled rows.
    fraction : float or None
        Share of the images to hold out; at least one image is.
    rng : RandomState
        Chooses the images.

    Returns
    -------
    train, valid : LabeledRows
        ``valid`` is None if ``fraction`` is.

    Raises
    ------
    ValueError
        If no image would be left to train on.
    """
    if fraction is None:
        return labeled, None
    images = rng.permutation(np.unique(labeled.images))
    n_valid = max(1, round(fraction * len(images)))
    if n_valid >= len(images):
        raise ValueError(
            f"validation_fraction={fraction} of {len(images)} images with labels "
            "leaves none to train on; use a smaller one, or more images."
        )
    return labeled.of_images(images[n_valid:]), labeled.of_images(images[:n_valid])


def draw_evenly(
    n_items: int, n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw items, all of them once before any is drawn again.

    Parameters
    ----------
    n_items, n_draws : int
        How many there are, and how many to draw.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    ndarray of int64 of shape (n_draws,)
        Their positions.
    """
    n_rounds = math.ceil(n_draws / n_items)
    return np.concatenate([rng.permutation(n_items) for _ in range(n_rounds)])[:n_draws]


def class_weights(
    class_weight: str | float | Mapping[int, float] | None,
    classes: NDArray[np.int64],
    frequency: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the weights of the classes in the loss (section 2.2).

    Parameters
    ----------
    class_weight : "balanced", float, None or mapping
        See `ZoomoutClassifier`.
    classes : ndarray of shape (n_classes,)
        The classes.
    frequency : ndarray of shape (n_classes,)
        Their shares of the training superpixels.

    Returns
    -------
    ndarray of float64 of shape (n_classes,)
        0 for a class without a superpixel.

    Warns
    -----
    AbsentClassWarning
        If a class has no superpixel.

    Raises
    ------
    ValueError
        If fewer than two classes have a superpixel, or a mapping names a class that
        does not exist or gives a weight that is negative or not finite.
    """
    present = frequency > 0
    if present.sum() < 2:
        raise ValueError(
            "masks: expected superpixels of at least two classes to train on, got "
            f"only class {classes[present][0]}; if it marks pixels that have no label, "
            "pass it as void_label."
        )
    if not present.all():
        warnings.warn(
            f"classes {classes[~present].tolist()} have no superpixel in the training "
            "data, and will not be learned: they do not occur, or won the vote of no "
            "superpixel; more n_segments make smaller ones.",
            AbsentClassWarning,
            stacklevel=3,
        )
    if isinstance(class_weight, Mapping):
        return _mapped_weights(class_weight, classes) * present
    named: dict[Any, float] = {"balanced": 1.0, None: 0.0}
    exponent: Any = named.get(class_weight, class_weight)
    return np.where(present, frequency, np.inf) ** -exponent * present


def _mapped_weights(
    class_weight: Mapping[int, float], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    unknown = [key for key in class_weight if key not in classes.tolist()]
    if unknown:
        raise ValueError(
            f"class_weight: {unknown} are none of the classes {classes.tolist()}."
        )
    weight = np.array([class_weight.get(c, 1.0) for c in classes.tolist()], np.float64)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError(
            "class_weight: expected finite weights >= 0, not all of them 0, got "
            f"{dict(class_weight)}."
        )
    return weight


def paint_rows(table: FeatureTable, values: NDArray[Any]) -> NDArray[np.object_]:
    """Give every pixel the value of its superpixel.

    Parameters
    ----------
    table : FeatureTable
        The features of the superpixels.
    values : ndarray of shape (n_rows, ...)
        A value, or an array of them, for every row.

    Returns
    -------
    ndarray of object of shape (n_images,)
        An array of shape (height, width, ...) for every image.
    """
    maps = np.empty(len(table), dtype=object)
    for i, segmented in enumerate(table.superpixels):
        start, stop = table.row_offsets[i : i + 2]
        maps[i] = values[start:stop][segmented.segments]
    return maps
