"""From masks to the labels of superpixels, and back (section 4)."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .exceptions import EmptyMaskWarning
from .masks import UNLABELED, check_masks, distinct_labels, is_small
from .masks._present import PresentLabels, refuse_missing, refuse_unlabeled
from .superpixels import SegmentedImage, Superpixels

__all__ = ["superpixel_labels"]


def encode_labels(
    mask: NDArray[Any], classes: NDArray[Any], name: str
) -> NDArray[np.intp]:
    """Return the position of every label in the sorted list of classes.

    Parameters
    ----------
    mask : ndarray of integers, of any shape
        Labels; -1 where there is none.
    classes : ndarray of integers of shape (n_classes,)
        Sorted distinct classes.
    name : str
        The name of the mask in an error, such as "masks[3]".

    Returns
    -------
    codes : ndarray of intp, of the shape of ``mask``
        ``classes[codes] == mask``, and -1 where there is no label.

    Raises
    ------
    ValueError
        If another label occurs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.labels import encode_labels
    >>> mask = np.array([[20, 10], [255, -1]])
    >>> encode_labels(mask, np.array([10, 20, 255]), "masks[0]")
    array([[ 1,  0],
           [ 2, -1]])
    """
    present = distinct_labels(mask)
    _refuse_foreign(present, classes, name)
    if len(present) == 0:
        return np.full(mask.shape, UNLABELED, dtype=np.intp)
    if is_small(mask):
        lowest = int(mask.min())
        table = np.full(int(mask.max()) - lowest + 1, UNLABELED, dtype=np.intp)
        table[present - lowest] = np.searchsorted(classes, present)
        return table[mask.astype(np.intp) - lowest]
    codes = np.searchsorted(classes, mask)
    return np.where(mask == UNLABELED, UNLABELED, codes)


def _refuse_foreign(
    present: NDArray[np.int64], classes: NDArray[np.int64], name: str
) -> None:
    unknown = np.setdiff1d(present, classes)
    if len(unknown):
        raise ValueError(
            f"{name}: expected labels among the classes {classes.tolist()}, got "
            f"{unknown.tolist()}; if one of them marks pixels that have no label, turn "
            "it into -1 with mark_unlabeled."
        )


def check_present(
    labels: PresentLabels | None, classes: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Refuse masks by their labels alone, as `label_rows` would.

    Parameters
    ----------
    labels : PresentLabels or None
        The labels of the masks.
    classes : array-like of integers or None
        The classes that a user declared.

    Returns
    -------
    classes : ndarray of int64 of shape (n_classes,)
        The declared classes, or the labels of the masks.
    present : ndarray of bool of shape (n_classes,)
        Which of them occur.
    """
    if labels is None:
        refuse_missing()
    declared = check_classes(classes)
    if declared is not None:
        for i, found in enumerate(labels.of_masks):
            _refuse_foreign(found, declared, f"masks[{i}]")
    refuse_unlabeled(labels.of_masks)
    known = labels.distinct if declared is None else declared
    return known, np.isin(known, labels.distinct)


def superpixel_labels(
    segmented: SegmentedImage, mask: Any, classes: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Label every superpixel by the majority of its labeled pixels (section 4).

    Unlabeled pixels do not vote, and a tie goes to the smaller class. The result
    indexed by the superpixels, ``labels[segmented.segments]``, is the best label map
    that these superpixels allow. Its score is the superpixel ceiling.

    Parameters
    ----------
    segmented : SegmentedImage
        The image's superpixels.
    mask : array-like of integers of shape (height, width)
        The label of every pixel; -1 where there is none.
    classes : array-like of integers of shape (n_classes,), default=None
        The labels that may occur; by default those of ``mask``.

    Returns
    -------
    labels : ndarray of int64 of shape (n_segments,)
        The label of every superpixel; -1 where none of its pixels has one.

    Raises
    ------
    ValueError
        If the mask does not fit the image, or holds a label that is none of
        ``classes``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import SegmentedImage
    >>> from sklearn_zoomout.labels import superpixel_labels
    >>> segments = np.array([[0, 0, 0, 1, 1, 2]])
    >>> segmented = SegmentedImage(np.zeros((1, 6, 3)), segments)
    >>> superpixel_labels(segmented, [[7, 7, 4, 9, 4, -1]])
    array([ 7,  4, -1])
    """
    (mask,) = check_masks([mask], [segmented])
    if classes is None:
        labels = distinct_labels(mask)
    else:
        labels = np.unique(np.asarray(classes, dtype=np.int64))
    codes = encode_labels(mask, labels, "mask")
    best = majority_votes(segmented, codes, len(labels))
    return np.append(labels, UNLABELED)[best]


def majority_votes(
    segmented: SegmentedImage, codes: NDArray[Any], n_classes: int
) -> NDArray[np.intp]:
    """Return the code that most pixels of each superpixel have.

    Parameters
    ----------
    segmented : SegmentedImage
        The image's superpixels.
    codes : ndarray of integers of shape (height, width)
        The class of every pixel, 0 to ``n_classes - 1``, or -1 if it does not vote.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of intp of shape (n_segments,)
        The winning code, the smaller one in a tie, or -1 if no pixel voted.
    """
    return _winners(count_votes(segmented, codes, n_classes))


def count_votes(
    segmented: SegmentedImage, codes: NDArray[Any], n_classes: int
) -> NDArray[np.int64]:
    """Count the pixels of every class in each superpixel.

    Parameters
    ----------
    segmented : SegmentedImage
        The image's superpixels.
    codes : ndarray of integers of shape (height, width)
        The class of every pixel, 0 to ``n_classes - 1``, or -1 if it does not vote.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of int64 of shape (n_segments, n_classes)
    """
    # Pixels that do not vote are counted as a last class.
    voted = np.where(codes < 0, n_classes, codes)
    return segmented.count(voted, n_classes + 1)[:, :n_classes]


def _winners(votes: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the class with the most votes of each superpixel, or -1 without votes."""
    if votes.shape[1] == 0:
        return np.full(len(votes), UNLABELED, dtype=np.intp)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), UNLABELED)


def check_known_labels(masks: Any, classes: Any) -> None:
    """Refuse masks with labels that a fitted estimator does not know.

    Parameters
    ----------
    masks : sequence of ndarray of integers
        True label maps.
    classes : ndarray of shape (n_classes,) or None
        The estimator's ``classes_``; None checks nothing.

    Raises
    ------
    ValueError
        If such a label occurs, naming the first mask that has one.
    """
    if classes is None:
        return
    for i, mask in enumerate(masks):
        unknown = np.setdiff1d(distinct_labels(np.asarray(mask)), classes)
        if len(unknown):
            raise ValueError(
                f"masks[{i}]: labels {unknown.tolist()} did not occur in fit, where "
                f"the classes were {np.asarray(classes).tolist()}; if one marks pixels "
                "that have no label, turn it into -1 with mark_unlabeled; if it is a "
                "rare class, list all in the classifier's parameter, classes=[...]."
            )


def check_classes(classes: ArrayLike | None) -> NDArray[np.int64] | None:
    """Check declared classes and sort them.

    Parameters
    ----------
    classes : array-like of integers or None
        The classes that a user declared.

    Returns
    -------
    ndarray of int64 of shape (n_classes,) or None

    Raises
    ------
    ValueError
        If they are not at least two distinct labels of 0 or more.
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
    if len(distinct) < max(len(declared), 2) or distinct[0] < 0:
        raise ValueError(
            "classes: expected two or more distinct labels of 0 or more, got "
            f"{declared.tolist()}."
        )
    return distinct


@dataclass(frozen=True)
class LabeledRows:
    """The superpixels that have a label, as rows of a table.

    Attributes
    ----------
    rows : ndarray of int64 of shape (n_labeled,)
        Row numbers, ascending.
    codes : ndarray of int64 of shape (n_labeled,)
        Their classes, as positions in ``classes``.
    images : ndarray of int64 of shape (n_labeled,)
        The positions of their images.
    classes : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    kept : ndarray of float64 of shape (n_classes,)
        The share of the pixels of every class whose superpixel has that class; 1 for a
        class without pixels.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    kept: NDArray[np.float64]

    def of_images(self, images: NDArray[Any]) -> "LabeledRows":
        """Return the rows of some of the images."""
        chosen = np.isin(self.images, images)
        return LabeledRows(
            self.rows[chosen],
            self.codes[chosen],
            self.images[chosen],
            self.classes,
            self.kept,
        )

    def frequency(self) -> NDArray[np.float64]:
        """Return the share of every class, of sum 1 (section 2.2)."""
        counts = np.bincount(self.codes, minlength=len(self.classes))
        return counts / counts.sum()


def label_rows(
    superpixels: Superpixels, masks: Any, classes: NDArray[np.int64] | None = None
) -> LabeledRows:
    """Label superpixels by the majority of their pixels.

    Parameters
    ----------
    superpixels : Superpixels
        The images.
    masks : sequence of array-like of integers of shape (height, width)
        A mask for every image.
    classes : ndarray of int64 of shape (n_classes,), default=None
        The classes, sorted; None takes all labels of the masks.

    Returns
    -------
    LabeledRows

    Raises
    ------
    TypeError
        If there are no masks.
    ValueError
        If a mask does not fit its image, has a label that is none of the classes,
        or if no mask has a label.

    Warns
    -----
    EmptyMaskWarning
        If a mask has no label; its image is left out.
    MaskWarning
        If the masks look wrong; see `iter_training_masks`.
    """
    # One mask is read at a time: those of many images do not fit in memory.
    labels, present, pixels = [], [], []
    for i, (segmented, mask) in enumerate(
        zip(superpixels, superpixels.iter_masks(masks), strict=True)
    ):
        present.append(distinct_labels(mask))
        known = present[i] if classes is None else classes
        codes = encode_labels(mask, known, f"masks[{i}]")
        votes = count_votes(segmented, codes, len(known))
        best = _winners(votes)
        labels.append(np.append(known, UNLABELED)[best])
        pixels.append(_count_kept(votes, best, known))
    empty = [i for i, found in enumerate(present) if len(found) == 0]
    refuse_unlabeled(present)
    if empty:
        warnings.warn(
            f"masks{empty}: all pixels are -1, unlabeled; these images take no part in "
            "training.",
            EmptyMaskWarning,
            stacklevel=3,
        )
    known = np.unique(np.concatenate(present)) if classes is None else classes
    label_of_row = np.concatenate(labels)
    rows = np.flatnonzero(label_of_row != UNLABELED)
    codes = np.searchsorted(known, label_of_row[rows])
    counts = np.zeros((len(known), 2), dtype=np.int64)
    of_labels = np.concatenate(pixels)
    np.add.at(counts, np.searchsorted(known, of_labels[:, 0]), of_labels[:, 1:])
    kept = np.where(counts[:, 1] > 0, counts[:, 0] / np.maximum(counts[:, 1], 1), 1.0)
    return LabeledRows(rows, codes, superpixels.image_of_row[rows], known, kept)


def _count_kept(
    votes: NDArray[np.int64], best: NDArray[np.intp], classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return label, pixels in superpixels of that label, and pixels of every class."""
    labeled = np.flatnonzero(best != UNLABELED)
    kept = np.zeros(len(classes), dtype=np.int64)
    np.add.at(kept, best[labeled], votes[labeled, best[labeled]])
    return np.stack([classes, kept, votes.sum(axis=0)], axis=1)
