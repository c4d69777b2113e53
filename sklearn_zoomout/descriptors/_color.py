"""Color codes: bins of L*a*b* of equal width, or between quantiles of the image."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..images import as_float
from ._histograms import entropy, normalize

N_BINS = 32
_N_COARSE_BINS = 8
_CHANNELS = ("L", "a", "b")

# Channel values are first rounded to one of 2**16 levels of the channel's range. A
# level is 0.0015 in L and 0.004 in a and b, less than a step of colors of 8 bits. A
# table then maps the levels to the quantile bins, without sorting the pixels.
_LEVEL_BITS = 16
_LOWEST = np.array([0, -128, -128], dtype=np.float32)
_RANGE = np.array([100, 256, 256], dtype=np.float32)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB to CIELAB (white point D65).

    Parameters
    ----------
    rgb : array of shape (height, width, 3)
        uint8, or floating point in 0..1.

    Returns
    -------
    lab : array of shape (height, width, 3), float32
        L in 0..100, a and b within -128..128.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import rgb_to_lab
    >>> abs(rgb_to_lab(np.ones((1, 1, 3), dtype=np.float32)).round(2))
    array([[[100.,   0.,   0.]]], dtype=float32)
    """
    # OpenCV converts sRGB by interpolation in a coarse table. The errors reach 0.4, and
    # grays become colored. Its conversion of linear RGB is exact.
    if rgb.dtype == np.uint8:
        linear = cv2.LUT(np.ascontiguousarray(rgb), _LINEAR_OF_UINT8)
    else:
        linear = _linearize(as_float(rgb))
    return cv2.cvtColor(linear, cv2.COLOR_LRGB2LAB)


def bands_to_lightness(bands: np.ndarray) -> np.ndarray:
    """Convert every band to lightness, as if it were a gray sRGB image.

    Parameters
    ----------
    bands : array of shape (height, width, n_bands)
        uint8, or floating point in 0..1.

    Returns
    -------
    lightness : array of shape (height, width, n_bands), float32
        L in 0..100.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import bands_to_lightness
    >>> bands_to_lightness(np.float32([[[0, 0.2, 0.5, 0.8, 1]]])).round()
    array([[[  0.,  21.,  53.,  82., 100.]]], dtype=float32)
    """
    lightness = np.empty(bands.shape, dtype=np.float32)
    for band in range(bands.shape[2]):
        gray = np.broadcast_to(bands[..., band, None], (*bands.shape[:2], 3))
        lightness[..., band] = rgb_to_lab(gray)[..., 0]
    return lightness


def color_codes(lab: np.ndarray, bands: bool = False) -> np.ndarray:
    """Compute the bins of every pixel: two for each channel.

    Parameters
    ----------
    lab : array of shape (height, width, n), float32
        An image in CIELAB, or the lightness of n bands.
    bands : bool, default=False
        Whether it is the lightness of bands.

    Returns
    -------
    codes : array of shape (2 * n, height, width), uint8
        First the numbers of 32 bins of equal width for L, a and b, over 0..100,
        -128..128 and -128..128. Then the numbers of 32 bins between the quantiles of L,
        a and b in this image. A bin includes its lower edge. Bands have the bins of L.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import color_codes
    >>> lab = np.zeros((1, 4, 3), dtype=np.float32)
    >>> lab[0, :, 0] = [10, 10.1, 10.2, 10.3]
    >>> color_codes(lab)[[0, 3], 0]
    array([[ 3,  3,  3,  3],
           [ 8, 16, 24, 31]], dtype=uint8)
    """
    planes = cv2.split(lab)
    lowest, width = _LOWEST, _RANGE
    if bands:
        lowest, width = (
            np.repeat(of_lab[0], len(planes)) for of_lab in (lowest, width)
        )
    channels = [_levels(*each) for each in zip(planes, lowest, width, strict=True)]
    equal = [channel // np.uint16(2**_LEVEL_BITS // N_BINS) for channel in channels]
    quantile = [_quantile_bins(channel) for channel in channels]
    return np.stack(equal + quantile, dtype=np.uint8, casting="unsafe")


def color_features(counts: np.ndarray) -> np.ndarray:
    """Compute histograms of 32 and of 8 bins, and the entropy of some of them.

    The entropy is that of the histograms of 32 bins of equal width.

    Parameters
    ----------
    counts : array of shape (n_regions, 64 * n), float32
        Number of pixels of each code in each region, of n channels. The 2 * n times 32
        codes are in the order of `color_codes`.

    Returns
    -------
    features : array of shape (n_regions, 81 * n), float32
        Their names are `color_names`.
    """
    n = counts.shape[1] // (2 * N_BINS)
    fine = normalize(counts.reshape(-1, 2 * n, N_BINS))
    # Four adjacent bins of 32 are one bin of 8, for both kinds of bins.
    width = N_BINS // _N_COARSE_BINS
    coarse = fine.reshape(-1, 2 * n, _N_COARSE_BINS, width).sum(axis=3)
    parts = [
        fine[:, :n],
        coarse[:, :n],
        entropy(fine[:, :n]),
        fine[:, n:],
        coarse[:, n:],
    ]
    return np.concatenate([part.reshape(len(counts), -1) for part in parts], axis=1)


def color_names(n_bands: int | None = None) -> list[str]:
    """Return the names of the 243 color features, or of 81 features of every band."""
    channels = channel_names(n_bands)

    def bins(kind: str, n_bins: int) -> list[str]:
        return [f"{c}_{kind}{n_bins}_{i:02d}" for c in channels for i in range(n_bins)]

    return [
        *bins("hist", N_BINS),
        *bins("hist", _N_COARSE_BINS),
        *(f"{c}_hist{N_BINS}_entropy" for c in channels),
        *bins("quantile", N_BINS),
        *bins("quantile", _N_COARSE_BINS),
    ]


def channel_names(n_bands: int | None = None) -> Sequence[str]:
    """Return "L", "a" and "b", or "band0", "band1", ..."""
    return _CHANNELS if n_bands is None else [f"band{i}" for i in range(n_bands)]


def _linearize(srgb: np.ndarray) -> np.ndarray:
    """Convert sRGB to linear RGB."""
    linear = cv2.pow((srgb + np.float32(0.055)) / np.float32(1.055), 2.4)
    dark = srgb <= 0.04045
    linear[dark] = srgb[dark] / np.float32(12.92)
    return linear


# The linear values of 0..255. They are equal to those of the same colors as floats.
_LINEAR_OF_UINT8 = _linearize(as_float(np.arange(256, dtype=np.uint8)[None])).ravel()


def _levels(channel: np.ndarray, lowest: np.float32, width: np.float32) -> np.ndarray:
    """Round to the nearest of 2**16 levels, so that grays share a bin of a and of b."""
    levels = channel - lowest
    levels *= np.float32(2**_LEVEL_BITS) / width
    np.rint(levels, out=levels)
    return np.clip(levels, 0, 2**_LEVEL_BITS - 1, out=levels).astype(np.uint16)


def _quantile_bins(levels: np.ndarray) -> np.ndarray:
    """Return the bins between the quantiles k/32, the lowest levels with that share."""
    counts = np.bincount(levels.ravel(), minlength=2**_LEVEL_BITS)
    table = np.cumsum(counts) * N_BINS // levels.size
    return np.minimum(table, N_BINS - 1).astype(np.uint8)[levels]
