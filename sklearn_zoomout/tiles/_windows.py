"""Windows of a large image as images to learn from."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.lazy import LazySequence
from ..masks import UNLABELED, distinct_labels
from ..rasters import Raster, open_raster

Box = tuple[int, int, int, int]


def labeled_windows(
    image: Any, mask: Any, size: int = 1000, *, channel_axis: int | None = None
) -> tuple[LazySequence, LazySequence]:
    """Cut a large image and its mask into windows that have labels.

    Nothing is read until a window is asked for, but for the mask, which is read once,
    window by window.

    Parameters
    ----------
    image : array-like of shape (height, width, n_channels) or path
        What `rasters.open_raster` opens. A file is opened for every window.
    mask : array-like of integers of shape (height, width) or path
        The labels of its pixels. Those without a label are -1, or without data. Where
        the image has no data they are -1 too.
    size : int, default=1000
        Height and width of a window in pixels. Windows at the right and lower border
        end there, and overlap those before. They are smaller only if the image is.
    channel_axis : int or None, default=None
        The axis of the channels of the image; see `rasters.open_raster`.

    Returns
    -------
    images : sequence of ndarray of shape (height, width, n_channels)
        The windows that have a label, row by row. They can be passed to ``fit``,
        to cross-validation and to searches as a list of images.
    masks : sequence of ndarray of shape (height, width)
        Their masks.

    Raises
    ------
    ValueError
        If the sizes of image and mask differ, the mask has channels, or no pixel has a
        label.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.tiles import labeled_windows
    >>> image = np.zeros((300, 500, 3), dtype=np.uint8)
    >>> mask = np.full((300, 500), -1)
    >>> mask[10:20, 10:20] = 1
    >>> mask[10:20, 410:420] = 2
    >>> images, masks = labeled_windows(image, mask, size=200)
    >>> [window.shape for window in images]
    [(200, 200, 3), (200, 200, 3)]
    """
    if size < 1:
        raise ValueError(f"size: expected 1 or more, got {size!r}.")
    opened = partial(open_raster, image, channel_axis=channel_axis)
    with opened() as raster, open_raster(mask) as labels:
        if labels.shape[2] != 1:
            raise ValueError(
                f"mask: expected labels of one channel, got {labels.shape[2]}."
            )
        if labels.shape[:2] != raster.shape[:2]:
            raise ValueError(
                f"mask: expected shape {raster.shape[:2]}, that of the image, got "
                f"{labels.shape[:2]}."
            )
        boxes = [
            (top, left, top + min(size, height), left + min(size, width))
            for height, width in [raster.shape[:2]]
            for top in _starts(height, size)
            for left in _starts(width, size)
        ]
    read_mask = partial(_read_mask, opened, mask)
    chosen = [box for box in boxes if len(distinct_labels(read_mask(box)))]
    if not chosen:
        raise ValueError("mask: expected labels of 0 or more, got none.")
    return (
        LazySequence(partial(_read_image, opened), chosen),
        LazySequence(read_mask, chosen),
    )


def _starts(length: int, size: int) -> list[int]:
    """Return where windows begin that cover an axis; the last ends at its end."""
    return sorted(
        {min(start, max(length - size, 0)) for start in range(0, length, size)}
    )


def _read_image(opened: Callable[[], Raster], box: Box) -> NDArray[Any]:
    with opened() as raster:
        return raster.read(*box)


def _read_mask(opened: Callable[[], Raster], source: Any, box: Box) -> NDArray[Any]:
    """Read labels, -1 where the mask or the image has no data."""
    with open_raster(source) as labels, opened() as raster:
        mask, valid = labels.read_with_valid(*box)
        seen = raster.valid(*box)
    mask = mask[..., 0]
    for where in (valid, seen):
        if where is not None:
            mask = np.where(where, mask.astype(np.int64), UNLABELED)
    return mask
