"""Where a window lies in a larger image, and what lies around it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.shared_results import SharedResults
from ._segmented_image import SegmentedImage

#: Maps an image to a vector.
Describe = Callable[[SegmentedImage], NDArray[np.float32]]


class Scene:
    """An image that is larger than those that a model has learned from.

    The scene of a superpixel is the window of the image around it that is as large as
    the images of fit. A vector is computed for each of the windows that cover the
    image side by side. At other places it is interpolated bilinearly, so that it
    changes nowhere at once.

    Parameters
    ----------
    see : callable
        Returns the box top, left, bottom, right of the image as one superpixel.
    shape : tuple of int
        Height and width of the whole image in pixels.
    whole : SegmentedImage or None, default=None
        The whole image, reduced, if all superpixels have it as their scene.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import SegmentedImage
    >>> from sklearn_zoomout.superpixels._place import Scene
    >>> image = np.zeros((2, 400, 3), dtype=np.uint8)
    >>> image[:, 200:] = 100
    >>> def see(top, left, bottom, right):
    ...     window = image[top:bottom, left:right]
    ...     return SegmentedImage(window, np.zeros(window.shape[:2], dtype=int))
    >>> scene = Scene(see, image.shape[:2])
    >>> def mean(segmented):
    ...     return segmented.image.mean(axis=(0, 1))[:1]
    >>> places = np.array([[1, 0], [1, 100], [1, 200], [1, 250]])
    >>> scene.describe(mean, "mean", places, window=(2, 200)).ravel().round()
    array([ 0.,  0., 50., 75.])
    """

    def __init__(
        self,
        see: Callable[[int, int, int, int], SegmentedImage],
        shape: tuple[int, int],
        whole: SegmentedImage | None = None,
    ) -> None:
        self.see, self.shape, self.whole = see, shape, whole
        self._vectors = SharedResults()

    def describe(
        self,
        describe: Describe,
        key: Any,
        places: NDArray[Any],
        window: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Describe the scenes of some places.

        Parameters
        ----------
        describe : callable
            Returns the vector of an image.
        key : hashable
            Names ``describe``. A vector is computed once for each key.
        places : ndarray of shape (n, 2)
            Rows and columns in the whole image, in pixels.
        window : tuple of int
            Height and width of a scene.

        Returns
        -------
        ndarray of float32 of shape (n, n_columns)
        """
        whole = self.whole
        if whole is not None:
            vector = self._vectors.get(key, lambda: describe(whole))
            return np.repeat(vector[None], len(places), axis=0)
        sizes = list(zip(self.shape, window, strict=True))
        starts = [_starts(length, side) for length, side in sizes]
        axes = [
            _between(begin, min(side, length), at)
            for begin, (length, side), at in zip(starts, sizes, places.T, strict=True)
        ]
        described: Any = 0
        for row, down in axes[0]:
            for column, across in axes[1]:
                corners = starts[0][row], starts[1][column]
                vectors = self._of_windows(describe, key, corners, window)
                described += (down * across).astype(np.float32)[:, None] * vectors
        return np.asarray(described)

    def _of_windows(
        self,
        describe: Describe,
        key: Any,
        corners: tuple[NDArray[np.int64], NDArray[np.int64]],
        window: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Return the vectors of windows by their first rows and columns."""
        different, which = np.unique(np.stack(corners), axis=1, return_inverse=True)

        def compute(top: int, left: int) -> Callable[[], NDArray[np.float32]]:
            bottom = min(top + window[0], self.shape[0])
            right = min(left + window[1], self.shape[1])
            return lambda: describe(self.see(top, left, bottom, right))

        vectors = [
            self._vectors.get((key, window, top, left), compute(top, left))
            for top, left in different.T.tolist()
        ]
        return np.stack(vectors)[which.ravel()]


class Place:
    """Where a window lies in a scene.

    Parameters
    ----------
    scene : Scene
        The whole image.
    top, left : int
        The first row and column of the window in it.
    """

    def __init__(self, scene: Scene, top: int, left: int) -> None:
        self.scene, self.corner = scene, (top, left)

    def describe(
        self,
        segmented: SegmentedImage,
        describe: Describe,
        key: Any,
        window: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Describe the scene of each superpixel, see `Scene.describe`."""
        places = segmented.centroids + self.corner
        return self.scene.describe(describe, key, places, window)


def _starts(length: int, side: int) -> NDArray[np.int64]:
    """Return where windows begin that cover an axis; the last ends at its end."""
    n = max(-(-length // side), 1)
    return np.minimum(np.arange(n) * side, max(length - side, 0))


def _between(
    starts: NDArray[np.int64], side: int, at: NDArray[Any]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return the windows before and after some places, and their shares."""
    centers = starts + (side - 1) / 2
    position = np.interp(at, centers, np.arange(len(centers)))
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, len(centers) - 1)
    share = position - before
    return [(before, 1 - share), (after, share)]
