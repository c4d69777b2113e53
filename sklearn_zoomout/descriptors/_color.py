"""Color codes: bins of L*a*b*, equally spaced or at the image's quantiles."""

import cv2
import numpy as np

from ..images import as_float
from ._histograms import entropy, normalize

N_BINS = 32
_N_COARSE_BINS = 8
_CHANNELS = ("L", "a", "b")

# Channel values are first rounded down to one of 2**16 levels of the channel's range
# (0.0015 in L, 0.004 in a and b: finer than colors of 8 bits). A table of the levels
# then maps them to the quantile bins without sorting the pixels.
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
    # OpenCV interpolates its sRGB conversion in a coarse table, with errors up to 0.4
    # and colored grays; its conversion of linear RGB is exact.
    if rgb.dtype == np.uint8:
        linear = cv2.LUT(np.ascontiguousarray(rgb), _LINEAR_OF_UINT8)
    else:
        linear = _linearize(as_float(rgb))
    return cv2.cvtColor(linear, cv2.COLOR_LRGB2LAB)


def color_codes(lab: np.ndarray) -> np.ndarray:
    """Bin every pixel of every channel twice.

    Parameters
    ----------
    lab : array of shape (height, width, 3), float32
        An image in CIELAB.

    Returns
    -------
    codes : array of shape (6, height, width), uint8
        First the 32 equal bins of L, a and b over 0..100, -128..128 and -128..128;
        then the 32 bins at this image's own quantiles of L, a and b. A bin holds its
        lower edge.

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
    channels = [
        _levels(*each) for each in zip(cv2.split(lab), _LOWEST, _RANGE, strict=True)
    ]
    equal = [channel // np.uint16(2**_LEVEL_BITS // N_BINS) for channel in channels]
    quantile = [_quantile_bins(channel) for channel in channels]
    return np.stack(equal + quantile, dtype=np.uint8, casting="unsafe")


def color_features(counts: np.ndarray) -> np.ndarray:
    """Histograms of 32 and of 8 bins, and the entropy of those of 32 equal bins.

    Parameters
    ----------
    counts : array of shape (n_regions, 192), float32
        How often each region holds each of the six codes, side by side.

    Returns
    -------
    features : array of shape (n_regions, 243), float32
        As named by `color_names`.
    """
    fine = normalize(counts.reshape(-1, 6, N_BINS))
    # Four neighboring bins of 32 make one of 8, for quantiles as for equal bins.
    coarse = fine.reshape(-1, 6, _N_COARSE_BINS, N_BINS // _N_COARSE_BINS).sum(axis=3)
    parts = [
        fine[:, :3],
        coarse[:, :3],
        entropy(fine[:, :3]),
        fine[:, 3:],
        coarse[:, 3:],
    ]
    return np.concatenate([part.reshape(len(counts), -1) for part in parts], axis=1)


def color_names() -> list[str]:
    """Names of the 243 color features."""

    def bins(kind: str, n_bins: int) -> list[str]:
        return [f"{c}_{kind}{n_bins}_{i:02d}" for c in _CHANNELS for i in range(n_bins)]

    return [
        *bins("hist", N_BINS),
        *bins("hist", _N_COARSE_BINS),
        *(f"{c}_hist{N_BINS}_entropy" for c in _CHANNELS),
        *bins("quantile", N_BINS),
        *bins("quantile", _N_COARSE_BINS),
    ]


def _linearize(srgb: np.ndarray) -> np.ndarray:
    """Undo the gamma of sRGB."""
    linear = cv2.pow((srgb + np.float32(0.055)) / np.float32(1.055), 2.4)
    dark = srgb <= 0.04045
    linear[dark] = srgb[dark] / np.float32(12.92)
    return linear


# The linear values of 0..255, equal to those of the floats 0..1.
_LINEAR_OF_UINT8 = _linearize(as_float(np.arange(256, dtype=np.uint8)[None])).ravel()


def _levels(channel: np.ndarray, lowest: np.float32, width: np.float32) -> np.ndarray:
    """Round to the nearest of 2**16 levels: so grays, on an edge, share one bin."""
    levels = channel - lowest
    levels *= np.float32(2**_LEVEL_BITS) / width
    np.rint(levels, out=levels)
    return np.clip(levels, 0, 2**_LEVEL_BITS - 1, out=levels).astype(np.uint16)


def _quantile_bins(levels: np.ndarray) -> np.ndarray:
    """Bins between the quantiles k/32, the smallest levels that reach a share k/32."""
    counts = np.bincount(levels.ravel(), minlength=2**_LEVEL_BITS)
    table = np.cumsum(counts) * N_BINS // levels.size
    return np.minimum(table, N_BINS - 1).astype(np.uint8)[levels]
