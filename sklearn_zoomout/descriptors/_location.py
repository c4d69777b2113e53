"""Location: where a region lies in the image."""

import numpy as np


def location_features(centroids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Centroids relative to the image's center, signed and absolute.

    Parameters
    ----------
    centroids : array of shape (n_regions, 2)
        Row and column of each region's centroid, in pixels.
    shape : tuple of two ints
        Height and width of the image.

    Returns
    -------
    features : array of shape (n_regions, 4), float32
        As named by `location_names`: within -0.5..0.5, in units of the image's height
        and width, then their absolute values.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import location_features
    >>> location_features(np.array([[0.0, 9.5]]), (5, 20))
    array([[-0.4,  0. ,  0.4,  0. ]], dtype=float32)
    """
    size = np.asarray(shape, dtype=np.float64)
    # Pixel centers have integer coordinates, so the middle is at (size - 1) / 2.
    offsets = (centroids - (size - 1) / 2) / size
    return np.concatenate([offsets, np.abs(offsets)], axis=1).astype(np.float32)


def location_names() -> list[str]:
    """Names of the 4 location features."""
    return [
        "row_from_center",
        "column_from_center",
        "row_from_center_abs",
        "column_from_center_abs",
    ]
