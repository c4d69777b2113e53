"""Pixels as samples: their filters, and which of them to learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ..descriptors._filters import N_RESPONSES, pixel_filters, reduction
from ..superpixels import SegmentedImage, Superpixels
from ..table import FeatureTable

# The filters of large images are computed in bands of about so many pixels.
_BAND_PIXELS = 2**18


class Band(NamedTuple):
    """Filters of some rows of an image.

    Attributes
    ----------
    rows : slice
        The rows of the image.
    inside : slice
        Where they are in ``planes``, which have more rows above and below if filters
        of filters are computed.
    planes : ndarray of float32 of shape (n_filters, n_rows, width)
        The filters.
    """

    rows: slice
    inside: slice
    planes: NDArray[np.float32]

    @property
    def pixels(self) -> slice:
        """The pixels of the rows, as positions in the flattened image."""
        width = self.planes.shape[2]
        return slice(self.rows.start * width, self.rows.stop * width)

    def flat(self) -> NDArray[np.float32]:
        """Return the filters of the pixels of the rows, (n_filters, n_pixels)."""
        return self.planes[:, self.inside].reshape(len(self.planes), -1)

    def take(
        self,
        planes: NDArray[np.float32],
        positions: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Copy the features of those pixels that are in these rows.

        Parameters
        ----------
        planes : ndarray of float32 of shape (n_features, n_pixels)
            Features of the pixels of the rows.
        positions : ndarray of int64 of shape (n,)
            Pixels, as positions in the flattened image.
        out : ndarray of float32 of shape (n, n_features)
            The features of those outside of the rows stay as they are.
        """
        here = (positions >= self.pixels.start) & (positions < self.pixels.stop)
        out[here] = planes[:, positions[here] - self.pixels.start].T


class PixelFilters(NamedTuple):
    """How pixels are described.

    Attributes
    ----------
    sigmas : tuple of float
        The sigmas of the Gaussians in pixels.
    gray : bool
        Whether one channel is used, since the three are equal.
    n_bands : int or None
        The number of bands, None of red, green and blue.
    """

    sigmas: tuple[float, ...]
    gray: bool
    n_bands: int | None = None

    @property
    def n_filters(self) -> int:
        """Number of features of a pixel: of a gray one, or with opponent colors."""
        of_channel = len(self.sigmas) * N_RESPONSES
        if self.n_bands is not None:
            return self.n_bands * of_channel
        return of_channel if self.gray else 3 * of_channel + 2 * len(self.sigmas)

    def check(self, superpixels: Superpixels) -> None:
        """Refuse images with colors, if only gray ones were expected.

        Raises
        ------
        ValueError
            If there is one.
        """
        for i, segmented in enumerate(superpixels if self.gray else ()):
            if not is_gray(segmented):
                raise ValueError(
                    f"images[{i}]: expected a gray image, with three equal channels, "
                    "as all images of fit are, got colors; convert it, or fit with an "
                    "image that has colors."
                )

    def bands(self, segmented: SegmentedImage, margins: int = 0) -> Iterator["Band"]:
        """Compute the filters of an image, in bands of rows that bound the memory.

        Parameters
        ----------
        segmented : SegmentedImage
            The image.
        margins : int, default=0
            How many times the filters are computed again from what they give.

        Yields
        ------
        Band
            The filters of some rows.
        """
        height, width = segmented.shape
        values = segmented.channels
        values = values[..., :1] if self.gray else values
        channels = np.ascontiguousarray(np.moveaxis(values, 2, 0))
        opponents = not self.gray and self.n_bands is None
        step = max(reduction(sigma) for sigma in self.sigmas)
        # No filter reaches further than this, rounded up to blocks of the reduction.
        margin = -(-(4 * max(self.sigmas) + 4 * step) // step) * step
        margin = int(margin)
        n_rows = max(_BAND_PIXELS // width, 4 * margin)
        # Equal bands; a thin one at the end would consist of margins.
        n_rows = -(-height // max(1, round(height / n_rows)))
        n_rows = -(-n_rows // step) * step
        for top in range(0, height, n_rows):
            bottom = min(top + n_rows, height)
            kept = max(top - margins * margin, 0)
            first = max(kept - margin, 0)
            seen = channels[:, first : bottom + (margins + 1) * margin]
            planes = pixel_filters(seen, self.sigmas, opponents=opponents)
            planes = planes[:, kept - first :][:, : bottom + margins * margin - kept]
            yield Band(slice(top, bottom), slice(top - kept, bottom - kept), planes)

    def describe(
        self, segmented: SegmentedImage, positions: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Describe some pixels of an image.

        Parameters
        ----------
        segmented : SegmentedImage
            The image.
        positions : ndarray of int64 of shape (n,)
            The pixels, as positions in the flattened image.

        Returns
        -------
        ndarray of float32 of shape (n, n_filters)
        """
        features = np.empty((len(positions), self.n_filters), dtype=np.float32)
        for band in self.bands(segmented):
            band.take(band.flat(), positions, out=features)
        return features


def choose_filters(superpixels: Superpixels, sigmas: Sequence[float]) -> PixelFilters:
    """Use one channel if all images are gray.

    Parameters
    ----------
    superpixels : Superpixels
        The images of fit.
    sigmas : sequence of float
        The sigmas of the Gaussians in pixels.

    Returns
    -------
    PixelFilters

    Raises
    ------
    ValueError
        If the pixels of an image are missing.
    """
    gray = all(is_gray(segmented) for segmented in superpixels)
    n_bands = None if gray else superpixels[0].n_bands
    return PixelFilters(tuple(float(sigma) for sigma in sigmas), gray, n_bands)


def is_gray(segmented: SegmentedImage) -> bool:
    """Return whether the three channels of an image are equal."""
    if segmented.n_bands is not None:
        return False
    red, green, blue = np.moveaxis(segmented.image, 2, 0)
    return np.array_equal(red, green) and np.array_equal(red, blue)


@dataclass(frozen=True)
class DrawnPixels:
    """The pixels to learn from.

    Attributes
    ----------
    features : ndarray of float32 of shape (n, n_filters)
        Filters of the labeled pixels.
    codes : ndarray of int64 of shape (n,)
        Their classes, as positions in the list of classes.
    images : ndarray of int64 of shape (n,)
        Their images.
    positions : ndarray of int64 of shape (n,)
        Their positions in the flattened images.
    rows : ndarray of int64 of shape (n,)
        The rows of their superpixels in the table.
    shares : ndarray of float64 of shape (n,)
        How many labeled pixels of its image and class each of them stands for.
    others : ndarray of float32 of shape (n_others, n_filters)
        Filters of pixels that were drawn from all pixels, labeled or not.
    """

    features: NDArray[np.float32]
    codes: NDArray[np.int64]
    images: NDArray[np.int64]
    positions: NDArray[np.int64]
    rows: NDArray[np.int64]
    shares: NDArray[np.float64]
    others: NDArray[np.float32]


def draw_pixels(
    table: FeatureTable,
    codes: Sequence[NDArray[np.int32]],
    filters: PixelFilters,
    *,
    n_labeled: int,
    n_others: int,
    rng: np.random.Generator,
    n_jobs: int | None = None,
) -> DrawnPixels:
    """Draw pixels evenly over the images, and in them evenly over the classes.

    Parameters
    ----------
    table : FeatureTable
        The images.
    codes : sequence of ndarray of int32 of shape (height, width)
        The class of every pixel as a position in the list of classes, or -1.
    filters : PixelFilters
        How to describe the pixels.
    n_labeled, n_others : int
        Largest number of labeled pixels, and of pixels drawn from all.
    rng : numpy.random.Generator
        Draws.
    n_jobs : int or None, default=None
        How many images to work on at once, in threads.

    Returns
    -------
    DrawnPixels
    """
    sizes = np.array([image_codes.size for image_codes in codes])
    known = np.array([np.count_nonzero(image_codes >= 0) for image_codes in codes])
    drawn = [
        _draw_labeled(image_codes.ravel(), n, rng)
        for image_codes, n in zip(codes, share_evenly(known, n_labeled), strict=True)
    ]
    others = [
        rng.choice(size, n, replace=False)
        for size, n in zip(sizes, share_evenly(sizes, n_others), strict=True)
    ]
    for i in np.flatnonzero(table.superpixels.has_nodata).tolist():
        others[i] = others[i][table.superpixels[i].valid.ravel()[others[i]]]
    described = Parallel(n_jobs, prefer="threads")(
        delayed(_describe)(table.superpixels, i, filters, np.append(labeled, more))
        for i, ((labeled, _), more) in enumerate(zip(drawn, others, strict=True))
        if len(labeled) or len(more)
    )
    found = {i: (features, rows) for i, features, rows in described}
    images = [i for i in sorted(found) if len(drawn[i][0])]
    n = {i: len(drawn[i][0]) for i in images}
    return DrawnPixels(
        features=np.concatenate([found[i][0][: n[i]] for i in images]),
        codes=np.concatenate([codes[i].ravel()[drawn[i][0]] for i in images]).astype(
            np.int64
        ),
        images=np.repeat(images, [n[i] for i in images]),
        positions=np.concatenate([drawn[i][0] for i in images]),
        rows=np.concatenate([found[i][1][: n[i]] for i in images]),
        shares=np.concatenate([drawn[i][1] for i in images]),
        others=np.concatenate([found[i][0][n.get(i, 0) :] for i in sorted(found)]),
    )


def choose_images(
    codes: Sequence[NDArray[np.int32]], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose images to learn pixels from, such that every class is in one of them.

    Parameters
    ----------
    codes : sequence of ndarray of int32 of shape (height, width)
        The class of every pixel as a position in the list of classes, or -1.
    n : int
        Largest number of images, unless there are more classes.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    ndarray of int64
        The positions of the images, sorted. All of them if there are at most ``n``.
    """
    if len(codes) <= n:
        return np.arange(len(codes))
    order = rng.permutation(len(codes))
    missing = set(np.unique(np.concatenate([np.unique(c) for c in codes]))) - {-1}
    needed: list[int] = []
    others: list[int] = []
    for i in order:
        found = missing.intersection(np.unique(codes[i]))
        missing -= found
        (needed if found else others).append(i)
    return np.sort(np.array((needed + others)[: max(n, len(needed))]))


def share_evenly(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Share a number of draws as evenly as the numbers of items allow.

    Parameters
    ----------
    counts : ndarray of int64 of shape (n,)
        Number of items of each part.
    total : int
        Number of draws.

    Returns
    -------
    ndarray of int64 of shape (n,)
        Draws from each part, at most ``counts``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.postprocessing._pixels import share_evenly
    >>> share_evenly(np.array([100, 3, 50]), 43)
    array([20,  3, 20])
    """
    shares = np.zeros_like(counts)
    left = total
    for n_before, i in enumerate(np.argsort(counts, kind="stable")):
        shares[i] = min(counts[i], left // (len(counts) - n_before))
        left -= shares[i]
    return shares


def _draw_labeled(
    codes: NDArray[np.int32], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw n labeled pixels of an image; return their positions and shares."""
    present = np.unique(codes[codes >= 0])
    of_class = [np.flatnonzero(codes == code) for code in present]
    counts = np.array([len(places) for places in of_class], dtype=np.int64)
    draws = share_evenly(counts, n)
    chosen = [
        rng.choice(places, k, replace=False)
        for places, k in zip(of_class, draws, strict=True)
    ]
    positions = np.concatenate([np.empty(0, dtype=np.int64), *chosen])
    return positions, np.repeat(counts / np.maximum(draws, 1), draws)


def _describe(
    superpixels: Superpixels,
    i: int,
    filters: PixelFilters,
    positions: NDArray[np.int64],
) -> tuple[int, NDArray[np.float32], NDArray[np.int64]]:
    """Return the number of an image, and the filters and rows of some of its pixels."""
    segmented = superpixels[i]
    rows = superpixels.row_offsets[i] + segmented.segments.ravel()[positions]
    return i, filters.describe(segmented, positions), rows
