"""From label maps to the labels of superpixels, and from labels to codes 0..K-1."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .images import check_masks
from .regions import SegmentedImage

# Labels below this are looked up in a table; beyond, the table would outgrow a mask.
_LOOKUP_LIMIT = 65_536


def distinct_labels(mask: NDArray[Any], void_label: int | None) -> NDArray[np.int64]:
    """Give the sorted distinct labels of a mask, without void.

    Parameters
    ----------
    mask : ndarray of integers, of any shape
        Labels.
    void_label : int or None
        The label of pixels that have none.

    Returns
    -------
    ndarray of int64 of shape (n_labels,)
    """
    flat = mask.ravel()
    if flat.size and _is_small(flat):
        # Ten times as fast as the sort of numpy.unique.
        lowest = int(flat.min())
        labels = np.flatnonzero(np.bincount(flat.astype(np.intp) - lowest)) + lowest
    else:
        labels = np.unique(flat).astype(np.int64)
    return labels if void_label is None else labels[labels != void_label]


def encode_labels(
    mask: NDArray[Any], classes: NDArray[Any], void_label: int | None, name: str
) -> NDArray[np.intp]:
    """Give the position of every label in the sorted list of classes.

    Parameters
    ----------
    mask : ndarray of integers, of any shape
        Labels.
    classes : ndarray of integers of shape (n_classes,)
        Sorted distinct classes.
    void_label : int or None
        The label of pixels that have none.
    name : str
        What to call the mask in an error, such as "masks[3]".

    Returns
    -------
    codes : ndarray of intp, of the shape of ``mask``
        ``classes[codes] == mask``, and -1 for void.

    Raises
    ------
    ValueError
        If another label occurs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.labels import encode_labels
    >>> mask = np.array([[20, 10], [255, -1]])
    >>> encode_labels(mask, np.array([10, 20, 255]), -1, "masks[0]")
    array([[ 1,  0],
           [ 2, -1]])
    """
    classes = classes[classes != void_label]
    present = distinct_labels(mask, void_label)
    unknown = np.setdiff1d(present, classes)
    if len(unknown):
        raise ValueError(
            f"{name}: labels {unknown.tolist()} are none of the classes "
            f"{classes.tolist()}; if one of them marks pixels that have no label, "
            f"pass it as void_label (now {void_label})."
        )
    if len(present) == 0:
        return np.full(mask.shape, -1, dtype=np.intp)
    if _is_small(mask):
        lowest = int(mask.min())
        table = np.full(int(mask.max()) - lowest + 1, -1, dtype=np.intp)
        table[present - lowest] = np.searchsorted(classes, present)
        return table[mask.astype(np.intp) - lowest]
    codes = np.searchsorted(classes, mask)
    return codes if void_label is None else np.where(mask == void_label, -1, codes)


def superpixel_labels(
    segmented: SegmentedImage,
    mask: Any,
    classes: ArrayLike | None = None,
    void_label: int | None = -1,
) -> NDArray[np.int64]:
    """Label every superpixel by the majority of its labeled pixels (section 4).

    Void pixels do not vote, and a tie goes to the smaller class. Indexing the result
    with the superpixels, ``labels[segmented.segments]``, gives the best label map
    that these superpixels allow; its score is the superpixel ceiling.

    Parameters
    ----------
    segmented : SegmentedImage
        The image's superpixels.
    mask : array-like of integers of shape (height, width)
        The label of every pixel.
    classes : array-like of integers of shape (n_classes,), default=None
        The labels that may occur; by default those of ``mask``.
    void_label : int or None, default=-1
        The label of pixels that have none; None if every pixel has one.

    Returns
    -------
    labels : ndarray of int64 of shape (n_segments,)
        The label of every superpixel; ``void_label`` where none of its pixels has
        one.

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
        labels = distinct_labels(mask, void_label)
    else:
        labels = np.unique(np.asarray(classes, dtype=np.int64))
    codes = encode_labels(mask, labels, void_label, "mask")
    best = majority_votes(segmented, codes, len(labels))
    void = -1 if void_label is None else void_label  # with None, all pixels vote
    return np.append(labels, void)[best]


def majority_votes(
    segmented: SegmentedImage, codes: NDArray[Any], n_classes: int
) -> NDArray[np.intp]:
    """Give the code that most pixels of each superpixel have.

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
    # Non-voters are counted as a last class that cannot win.
    counts = segmented.count(np.where(codes < 0, n_classes, codes), n_classes + 1)
    counts[:, n_classes] = 0
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)


def check_known_labels(masks: Any, classes: Any, void_label: int | None) -> None:
    """Refuse masks with labels that a fitted estimator does not know.

    Parameters
    ----------
    masks : sequence of ndarray of integers
        True label maps.
    classes : ndarray of shape (n_classes,) or None
        The estimator's ``classes_``; None checks nothing.
    void_label : int or None
        The label of pixels that have none.

    Raises
    ------
    ValueError
        If such a label occurs, naming the first mask that has one.
    """
    if classes is None:
        return
    for i, mask in enumerate(masks):
        unknown = np.setdiff1d(distinct_labels(np.asarray(mask), void_label), classes)
        if len(unknown):
            raise ValueError(
                f"masks[{i}]: labels {unknown.tolist()} did not occur in fit, where "
                f"the classes were {np.asarray(classes).tolist()}; if one marks "
                f"pixels that have no label, pass it as void_label (now {void_label}) "
                "to the classifier and to segmentation_scorer; if it is a rare "
                "class, list all classes in the classifier's parameter classes."
            )


def _is_small(mask: NDArray[Any]) -> bool:
    return int(mask.min()) > -_LOOKUP_LIMIT and int(mask.max()) < _LOOKUP_LIMIT
