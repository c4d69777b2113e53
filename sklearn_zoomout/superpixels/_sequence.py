"""`Superpixels`: a sequence of segmented images, with results of fits to them."""

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from .._utils.shared_results import SharedResults
from ..masks import iter_masks, iter_training_masks
from ._segmented_image import SegmentedImage


class Superpixels(Sequence[SegmentedImage]):
    """A sequence of segmented images.

    Parameters
    ----------
    items : iterable of SegmentedImage

    Attributes
    ----------
    row_offsets : ndarray of int64 of shape (n_images + 1,)
        In a `FeatureTable`, the superpixels of image i are the rows ``row_offsets[i]``
        up to, but not including, ``row_offsets[i + 1]``.
    n_rows : int
        Number of superpixels of all images.
    fitted : SharedResults
        Results of fits to these images that several transformers share, such as a
        dictionary of textons. It is not pickled.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import SegmentedImage, Superpixels
    >>> image, segments = np.zeros((1, 3, 3)), np.array([[0, 0, 1]])
    >>> superpixels = Superpixels([SegmentedImage(image, segments)] * 3)
    >>> superpixels
    Superpixels(3 images, 6 superpixels)
    >>> superpixels[1:].row_offsets
    array([0, 2, 4])
    """

    def __init__(self, items: Iterable[SegmentedImage]) -> None:
        self._items = list(items)
        counts = [item.n_segments for item in self._items]
        self._set_counts(counts)

    def _set_counts(self, counts: Sequence[int] | NDArray[Any]) -> None:
        """Compute the rows of all images, and start without fitted results."""
        self.row_offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self.n_rows = int(self.row_offsets[-1])
        self.fitted = SharedResults()
        self._checked_masks: CheckedMasks | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_checked_masks": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images, {self.n_rows} superpixels)"

    def __len__(self) -> int:
        return len(self._items)

    @property
    def shape(self) -> tuple[int]:
        """The number of images, in the form that scikit-learn reads."""
        return (len(self),)

    @property
    def image_of_row(self) -> NDArray[np.int64]:
        """The number of the image of each row, of shape (n_rows,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.row_offsets))

    def iter_masks(
        self, masks: Any, *, to_learn: bool = True
    ) -> Iterator[NDArray[Any]]:
        """Yield the masks of the images, checked.

        Masks that the `SuperpixelSegmenter` has read and checked are not read again.

        Parameters
        ----------
        masks : sequence of array-like of integers of shape (height, width)
            Class labels. Unlabeled pixels are -1.
        to_learn : bool, default=True
            Whether they are learned, and not only compared with predictions.

        Yields
        ------
        mask : ndarray of integers of shape (height, width)
            The next mask. Pixels without data are -1, whatever their label is.

        Raises
        ------
        TypeError, ValueError
            If the masks do not fit the images; see `check_masks`.

        Warns
        -----
        MaskWarning
            If masks to learn look wrong; see `iter_training_masks`.
        """
        known = self._checked_masks
        if known is not None and known.hold(masks):
            checked = iter(known.masks)
        else:
            checked = (iter_training_masks if to_learn else iter_masks)(masks, self)
        if not self.has_nodata.any():
            return checked
        return (_without_labels(*pair) for pair in zip(self, checked, strict=True))

    @property
    def are_windows(self) -> bool:
        """Whether an image is a window of a larger one."""
        return any(segmented.place is not None for segmented in self._items)

    @property
    def has_nodata(self) -> NDArray[np.bool_]:
        """Whether each image has pixels without data, of shape (n_images,)."""
        return np.array([s.nodata_segment is not None for s in self._items], dtype=bool)

    @overload
    def __getitem__(self, key: int) -> SegmentedImage: ...
    @overload
    def __getitem__(self, key: "slice | NDArray[Any] | list[int]") -> "Superpixels": ...
    def __getitem__(self, key: Any) -> Any:
        """Return one segmented image for an integer, and `Superpixels` otherwise."""
        if isinstance(key, tuple):  # scikit-learn indexes arrays as X[rows, ...]
            key = key[0]
        if isinstance(key, Integral):
            return self._items[int(key)]
        positions = np.arange(len(self))[key]
        return Superpixels(self._items[i] for i in positions)


class CheckedMasks(NamedTuple):
    """Masks in the form that the user passed, and as checked arrays."""

    source: Any
    masks: list[NDArray[Any]]

    def hold(self, masks: Any) -> bool:
        """Return whether these masks are the checked ones."""
        if masks is not self.source:
            return False
        if not isinstance(masks, (list, tuple, np.ndarray)):
            return True  # masks in files, for example, are not read again
        # The user may have replaced some masks of a list.
        same = len(masks) == len(self.masks)
        return same and all(a is b for a, b in zip(masks, self.masks, strict=True))


def _without_labels(segmented: SegmentedImage, mask: NDArray[Any]) -> NDArray[Any]:
    """Set the labels of pixels without data to -1, in a copy if there are such."""
    if segmented.nodata_segment is None:
        return mask
    dtype = np.promote_types(mask.dtype, np.int8)  # float64 of uint64
    return segmented.mark_nodata(mask.astype(dtype if dtype.kind == "i" else np.int64))


def check_superpixels(superpixels: Any) -> Superpixels:
    """Return `Superpixels` unchanged, and convert a list of `SegmentedImage`.

    Parameters
    ----------
    superpixels : Superpixels or list of SegmentedImage
        The value to check.

    Returns
    -------
    Superpixels

    Raises
    ------
    TypeError
        If it is neither of these.
    """
    if isinstance(superpixels, Superpixels):
        return superpixels
    if isinstance(superpixels, list) and all(
        isinstance(item, SegmentedImage) for item in superpixels
    ):
        return Superpixels(superpixels)
    raise TypeError(
        f"expected Superpixels, got {type(superpixels).__name__}; put a "
        "SuperpixelSegmenter before this step of the pipeline."
    )
