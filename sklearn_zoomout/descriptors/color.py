"""Color codes: bins of L*a*b*, equally spaced or at the image's quantiles."""

import cv2
import numpy as np
from scipy import sparse

from .histograms import entropy

N_BINS = 32
_N_COARSE_BINS = 8
_CHANNELS = ("L", "a", "b")

# Channel values are first rounded down to one of 2**16 levels of the channel's range
# (0.0015 in L, 0.004 in a and b: finer than colors of 8 bits). A table of the levels
# then gives the quantile bins without sorting the pixels.
_LEVEL_BITS = 16
_LOWEST = np.array([0, -128, -128], dtype=np.float32)
_RANGE = np.array([100, 256, 256], dtype=np.float32)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB to CIELAB (white point D65).

    Parameters
    ----------
    rgb : array of shape (height, width, 3), float32
        Values in [0, 1].

    Returns
    -------
    lab : array of shape (height, width, 3), float32
        L in 0..100, a and b within -128..128.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors.color import rgb_to_lab
    >>> abs(rgb_to_lab(np.ones((1, 1, 3), dtype=np.float32)).round(2))
    array([[[100.,   0.,   0.]]], dtype=float32)
    """
    # OpenCV interpolates its sRGB conversion in a coarse table, with errors up to 0.4
    # and colored grays; its conversion of linear RGB is exact.
    linear = cv2.pow((rgb + np.float32(0.055)) / np.float32(1.055), 2.4)
    linear = np.where(rgb <= 0.04045, rgb / np.float32(12.92), linear)
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
    >>> from sklearn_zoomout.descriptors.color import color_codes
    >>> lab = np.zeros((1, 4, 3), dtype=np.float32)
    >>> lab[0, :, 0] = [10, 10.1, 10.2, 10.3]
    >>> color_codes(lab)[[0, 3], 0]
    array([[ 3,  3,  3,  3],
           [ 8, 16, 24, 31]], dtype=uint8)
    """
    n_levels = 2**_LEVEL_BITS
    # Rounded to a level, grays (a = b = 0, an edge) do not scatter over two bins.
    levels = np.rint((lab - _LOWEST) * (np.float32(n_levels) / _RANGE))
    levels = np.clip(levels, 0, n_levels - 1).astype(np.uint16)
    channels = np.ascontiguousarray(np.moveaxis(levels, -1, 0))
    equal = channels // (n_levels // N_BINS)
    quantile = [_quantile_bins(channel) for channel in channels]
    return np.concatenate([equal.astype(np.uint8), quantile])


def color_features(counts: sparse.csr_array) -> np.ndarray:
    """Histograms of 32 and of 8 bins, and the entropy of those of 32 equal bins.

    Parameters
    ----------
    counts : csr array of shape (n_regions, 192)
        How often each region holds each of the six codes, side by side.

    Returns
    -------
    features : array of shape (n_regions, 243), float32
        As named by `color_names`.
    """
    counts = np.asarray(counts.todense(), dtype=np.float32).reshape(-1, 6, N_BINS)
    totals = counts.sum(axis=2, keepdims=True)
    fine = counts / np.maximum(totals, 1)
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


def _quantile_bins(levels: np.ndarray) -> np.ndarray:
    """Bins between the quantiles k/32, the smallest levels that reach a share k/32."""
    counts = np.bincount(levels.ravel(), minlength=2**_LEVEL_BITS)
    table = np.cumsum(counts) * N_BINS // levels.size
    return np.minimum(table, N_BINS - 1).astype(np.uint8)[levels]
