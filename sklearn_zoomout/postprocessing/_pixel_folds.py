"""Folds of pixels, by image or by stroke, and the masks without a fold."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import measure
from sklearn.model_selection import StratifiedGroupKFold

from ..labels import count_votes, encode_labels
from ..masks import UNLABELED, distinct_labels
from ..superpixels import Superpixels
from ._pixels import DrawnPixels

# Strokes are few, so that more of them are needed to learn from.
_FOLDS_OF_IMAGES, _FOLDS_OF_STROKES = 3, 5

#: The group of every pixel of an image, and -1 where it has no label.
Groups = list[NDArray[np.int64]]


def split_pixels(
    pixels: DrawnPixels, codes: Sequence[NDArray[np.int32]], cv: int | None, seed: int
) -> tuple[Groups, list[NDArray[np.bool_]], bool]:
    """Split labeled pixels into folds, in which whole images or strokes are held out.

    Images are held out if there are enough with labels, and most classes are also in
    the others of their fold. Else strokes are.

    Parameters
    ----------
    pixels : DrawnPixels
        The pixels.
    codes : sequence of ndarray of int32 of shape (height, width)
        The class of every pixel of the images as a position in the list of classes, or
        -1.
    cv : int or None
        Number of folds, at least 2. None is 3 of images, or 5 of strokes.
    seed : int
        Seed of the order in which groups are assigned.

    Returns
    -------
    groups : list of ndarray of int64 of shape (height, width)
        The image or stroke of every labeled pixel of the images, and -1 elsewhere.
    folds : list of ndarray of bool of shape (n,)
        Which of the drawn pixels each fold holds out. A class is never held out as a
        whole, so that some pixels may be in no fold.
    of_images : bool
        Whether images are held out, and not strokes.
    """
    n_images = len(np.unique(pixels.images))
    if n_images >= (cv or _FOLDS_OF_IMAGES):
        groups = [np.where(c < 0, -1, i) for i, c in enumerate(codes)]
        folds = _stratify(pixels, groups, cv or _FOLDS_OF_IMAGES, seed)
        n_tested = len(np.unique(pixels.codes[np.any(folds, axis=0)])) if folds else 0
        if n_tested >= 2 and 2 * n_tested > len(np.unique(pixels.codes)):
            return groups, folds, True
    n_folds = cv or _FOLDS_OF_STROKES
    groups = label_strokes(codes, n_folds)
    return groups, _stratify(pixels, groups, n_folds, seed), False


def teach_thin_classes(
    superpixels: Superpixels, masks: list[NDArray[Any]]
) -> list[NDArray[Any]]:
    """Give superpixels to the classes that have the majority in none.

    Lines may be thinner than every superpixel. Such a class is then taught by the
    superpixels in which it has at least half of its largest share: their other pixels
    lose their labels. No other class loses its last superpixel.

    Parameters
    ----------
    superpixels : Superpixels
        The superpixels of the images.
    masks : list of ndarray of integers of shape (height, width)
        The masks.

    Returns
    -------
    list of ndarray of integers of shape (height, width)
        The masks, changed for the estimator of superpixels.
    """
    classes = np.unique(np.concatenate([distinct_labels(mask) for mask in masks]))
    if len(classes) == 0:
        return masks
    counts = []
    for i, (segmented, mask) in enumerate(zip(superpixels, masks, strict=True)):
        codes = encode_labels(mask, classes, f"masks[{i}]")
        counts.append(count_votes(segmented, codes, len(classes)))
    every = np.concatenate(counts)
    share = every / np.maximum(every.sum(axis=1, keepdims=True), 1)
    winner = np.where(every.any(axis=1), every.argmax(axis=1), -1)
    won = np.bincount(winner[winner >= 0], minlength=len(classes))
    given = np.full(len(every), -1)
    for code in np.flatnonzero(every.any(axis=0) & (won == 0)):
        # A superpixel is given once, and no class loses its last one.
        free = np.flatnonzero((given < 0) & (won[winner] > 1) & (share[:, code] > 0))
        best = share[free, code].max(initial=0)
        for row in free[share[free, code] >= best / 2]:
            if won[winner[row]] > 1:
                won[winner[row]] -= 1
                given[row] = code
    taught = list(masks)
    parts = np.split(given, superpixels.row_offsets[1:-1])
    for i, (segmented, codes) in enumerate(zip(superpixels, parts, strict=True)):
        if (codes >= 0).any():
            wanted = np.append(classes, UNLABELED)[codes][segmented.segments]
            lost = (wanted != UNLABELED) & (wanted != masks[i])
            taught[i] = np.where(lost, UNLABELED, masks[i])
    return taught


def groups_of(pixels: DrawnPixels, groups: Groups) -> NDArray[np.int64]:
    """Return the group of each drawn pixel, of shape (n,)."""
    found = np.empty(len(pixels.codes), dtype=np.int64)
    for i in np.unique(pixels.images):
        here = pixels.images == i
        found[here] = groups[i].ravel()[pixels.positions[here]]
    return found


def label_strokes(codes: Sequence[NDArray[np.int32]], n_parts: int) -> Groups:
    """Give a number to every stroke, which is the connected pixels of a class.

    Parameters
    ----------
    codes : sequence of ndarray of int32 of shape (height, width)
        The class of every pixel as a position in the list of classes, or -1.
    n_parts : int
        If all images together have a single stroke of a class, it is cut across its
        longer side into so many parts of equal size, which count as strokes.

    Returns
    -------
    list of ndarray of int64 of shape (height, width)
        The number of the stroke of every pixel, and -1 where there is no label.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.postprocessing._pixel_folds import label_strokes
    >>> label_strokes([np.array([[0, 0, -1, 0], [1, 1, 1, -1]])], 3)
    [array([[ 0,  0, -1,  1],
           [ 2,  3,  4, -1]])]
    """
    strokes: Groups = []
    class_of_stroke: list[int] = []
    for image_codes in codes:
        found = measure.label(image_codes, background=-1, connectivity=2)
        classes = np.empty(found.max() + 1, dtype=np.int64)
        classes[found.ravel()] = image_codes.ravel()
        numbers = found.astype(np.int64) - 1 + len(class_of_stroke)
        strokes.append(np.where(found > 0, numbers, -1))
        class_of_stroke += classes[1:].tolist()
    n_strokes = len(class_of_stroke)
    for single in np.flatnonzero(np.bincount(class_of_stroke) == 1).tolist():
        stroke = class_of_stroke.index(single)
        for numbers in strokes:
            where = np.nonzero(numbers == stroke)
            if len(where[0]):
                parts = _cut(where, n_parts)
                numbers[where] = np.where(parts == 0, stroke, n_strokes - 1 + parts)
        n_strokes += n_parts - 1
    return strokes


def _cut(where: tuple[NDArray[np.intp], ...], n_parts: int) -> NDArray[np.int64]:
    """Return the part of every pixel of a stroke that is cut across its longer side."""
    longer = max(where, key=np.ptp)
    rank = np.empty(len(longer), dtype=np.int64)
    rank[np.argsort(longer, kind="stable")] = np.arange(len(longer))
    return rank * n_parts // len(longer)


def _stratify(
    pixels: DrawnPixels, groups: Groups, n_folds: int, seed: int
) -> list[NDArray[np.bool_]]:
    """Assign groups to folds of similar shares of every class.

    The pixels of a class that a fold would hold out as a whole are not held out.
    """
    group = groups_of(pixels, groups)
    largest = np.bincount(pixels.codes).max()
    n_splits = int(min(n_folds, len(np.unique(group)), largest))
    if n_splits < 2:
        return []
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of a class with fewer pixels than folds
        warnings.simplefilter("ignore", UserWarning)
        tests = [
            test for _, test in splitter.split(pixels.features, pixels.codes, group)
        ]
    folds = [np.isin(np.arange(len(group)), test) for test in tests]
    for held in folds:
        lost = np.setdiff1d(pixels.codes[held], pixels.codes[~held])
        held &= ~np.isin(pixels.codes, lost)
    return [held for held in folds if held.any()]
