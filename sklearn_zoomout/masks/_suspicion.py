"""What looks wrong in masks that are correct by themselves: marks and soft edges."""

import warnings
from collections import Counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..exceptions import SoftEdgeWarning, UnlabeledWarning
from ._labels import UNLABELED, count_labels
from ._marked import MarkedMasks

#: A label on a larger share of the pixels may be a mark of unlabeled pixels.
_LARGE_SHARE = 0.9
# Areas in discs of the same width: a square has 1.3, a stroke that is five times as
# long as wide has 6.
_ELONGATED = 6.0
# Of the pixels of the other labels, so much lies in strokes.
_MOSTLY = 0.9
#: The largest values of the unsigned types that masks have.
_LARGEST = {255: "uint8", 65_535: "uint16"}
# So many masks show whether there are strokes.
_ENOUGH = 50
# cv2 compares neighbors in int16.
_INT16 = 2**15 - 1
# Three mixtures of two labels, and more than that are numbers of objects.
_FEWEST, _MANY = 5, 512


class Suspicion:
    """Look at training masks one by one, and warn of them when all were seen.

    A warning needs evidence of all masks together, so that correct masks raise none.
    """

    def __init__(self) -> None:
        self._n_masks = 0
        self._counts: Counter[int] = Counter()
        self._in_strokes: Counter[int] = Counter()
        self._between: Counter[int] = Counter()
        self._rest = 0

    def look_at(self, mask: NDArray[Any]) -> None:
        """Count the pixels, the strokes and the mixtures of a mask.

        Parameters
        ----------
        mask : ndarray of integers or booleans of shape (height, width)
            A checked mask.
        """
        labels, counts = count_labels(mask)
        self._n_masks += 1
        self._counts.update(dict(zip(labels.tolist(), counts.tolist(), strict=True)))
        if len(labels) < 2:
            return
        if UNLABELED not in self._counts and self._n_masks <= _ENOUGH:
            self._look_for_strokes(mask, labels, counts)
        if _FEWEST <= len(labels) <= _MANY and labels[-1] < _INT16:
            between = lies_between(mask)
            self._between.update(
                dict(zip(*(a.tolist() for a in count_labels(between)), strict=True))
            )

    def warn(self, masks: Any, name: str) -> None:
        """Warn of what was seen in all masks.

        Parameters
        ----------
        masks : sequence
            The masks as they were passed.
        name : str
            Their name in the warnings.

        Warns
        -----
        UnlabeledWarning, SoftEdgeWarning
            See `iter_training_masks`.
        """
        for category, message in (
            (UnlabeledWarning, self._missing_mark(masks)),
            (UnlabeledWarning, self._strokes()),
            (UnlabeledWarning, self._largest_value()),
            (SoftEdgeWarning, self._mixtures()),
        ):
            if message:
                warnings.warn(f"{name}: {message}", category, stacklevel=4)

    def _look_for_strokes(
        self, mask: NDArray[Any], labels: NDArray[Any], counts: NDArray[Any]
    ) -> None:
        around = int(counts.argmax())
        label, rest = int(labels[around]), int(mask.size - counts[around])
        self._rest += rest
        # Some masks have more strokes than others.
        if rest <= 2 * (1 - _LARGE_SHARE) * mask.size:
            self._in_strokes[label] += count_thin(mask != label)

    def _labels(self) -> list[int]:
        return sorted(label for label in self._counts if label != UNLABELED)

    def _missing_mark(self, masks: Any) -> str:
        marked = isinstance(masks, MarkedMasks) and masks.is_whole
        if not marked or UNLABELED in self._counts:
            return ""
        return (
            f"no pixel of {self._n_masks} masks has {masks.mark}, which was to mark "
            f"the unlabeled ones; the labels are {_shorten(self._labels())}, all of "
            "them classes; pass the mark that the masks have."
        )

    def _strokes(self) -> str:
        if UNLABELED in self._counts or len(self._counts) < 3:
            return ""  # strokes of a single class teach nothing
        ((label, n_pixels),) = self._counts.most_common(1)
        total = self._counts.total()
        thin = self._in_strokes[label]
        if n_pixels <= _LARGE_SHARE * total or thin < _MOSTLY * self._rest:
            return ""
        others = _shorten([other for other in self._labels() if other != label])
        return (
            f"label {label} has {n_pixels / total:.0%} of the pixels, and the others, "
            f"{others}, are thin strokes; it is learned as a class. If it means that a "
            f"pixel has no label, pass mark_unlabeled(masks, {label}) or "
            f"read_masks(..., unlabeled={label})."
        )

    def _largest_value(self) -> str:
        *others, largest = self._labels() or [UNLABELED]
        # 255 is the class of a mask of black and white, and one of several grays.
        if largest not in _LARGEST or len(others) < 2:
            return ""
        if others[-1] >= min(8 * len(others), largest // 4):
            return ""
        return (
            f"label {largest} is the largest value of {_LARGEST[largest]} and far from "
            f"the others, {_shorten(others)}; it is learned as a class. If it means "
            f"that a pixel has no label, pass mark_unlabeled(masks, {largest}) or "
            f"read_masks(..., unlabeled={largest})."
        )

    def _mixtures(self) -> str:
        labels = self._labels()
        soft = [
            label
            for label in labels
            if self._between[label] >= 0.8 * self._counts[label]
        ]
        share = sum(self._counts[label] for label in soft) / self._counts.total()
        if len(soft) < max(3, len(labels) / 3) or share > 0.5:
            return ""
        return (
            f"{len(soft)} of {len(labels)} labels, {_shorten(soft)}, occur on "
            f"{share:.1%} of the pixels and only between a smaller and a larger label, "
            "as after resizing with interpolation or painting with smooth edges; each "
            "is learned as a class. Resize with the nearest label, such as "
            "image.resize(size, PIL.Image.Resampling.NEAREST), or list the colors or "
            "grays in read_masks(..., colors=), which removes soft edges."
        )


def count_thin(inside: NDArray[np.bool_]) -> int:
    """Count the pixels of connected regions that are far longer than wide.

    Parameters
    ----------
    inside : ndarray of bool of shape (height, width)
        The regions.

    Returns
    -------
    int
    """
    binary = inside.astype(np.uint8)
    n_regions, found = cv2.connectedComponents(binary)
    regions = np.asarray(found)[inside]
    depth = np.asarray(cv2.distanceTransform(binary, cv2.DIST_L2, 3))
    half = np.zeros(n_regions)
    np.maximum.at(half, regions.astype(np.intp), depth[inside].astype(np.float64))
    area = np.bincount(regions, minlength=n_regions)
    # The depth is measured from the center of the first pixel outside.
    thin = area > _ELONGATED * np.pi * np.maximum(half - 0.5, 0.5) ** 2
    return int(area[thin].sum())


def lies_between(mask: NDArray[Any]) -> NDArray[np.int64]:
    """Return the labels of the pixels that have a smaller and a larger neighbor.

    Parameters
    ----------
    mask : ndarray of integers of shape (height, width)
        Labels below 32767; -1 where there is none.

    Returns
    -------
    ndarray of int64 of shape (n_between,)
    """
    labels = mask.astype(np.int16)
    square = np.ones((3, 3), np.uint8)
    above = np.asarray(cv2.dilate(labels, square))
    # Unlabeled pixels are not smaller.
    below = np.asarray(cv2.erode(np.where(labels < 0, _INT16, labels), square))
    inside = (labels >= 0) & (below < labels) & (labels < above)
    return labels[inside].astype(np.int64)


def _shorten(labels: list[int]) -> str:
    """Return a list of labels as text, the middle left out if there are many."""
    if len(labels) <= 6:
        return str(labels)
    first, last = (", ".join(map(str, part)) for part in (labels[:3], labels[-2:]))
    return f"[{first}, ..., {last}]"
