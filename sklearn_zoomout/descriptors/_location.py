"""Location features: the position of a region in the image."""

import numpy as np


def location_features(centroids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Compute the positions of centroids relative to the center of the image.

    Parameters
    ----------
    centroids : array of shape (n_regions, 2)
        Row and column of each region's centroid, in pixels.
    shape : tuple of two ints
        Height and width of the image.

    Returns
    -------
    features : array of shape (n_regions, 4), float32
        Row and column in -0.5..0.5, in units of the height and width of the image. Then
        the absolute values of both. The names are `location_names`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import location_features
    >>> location_features(np.array([[0.0, 9.5]]), (5, 20))
    array([[-0.4,  0. ,  0.4,  0. ]], dtype=float32)
    """
    size = np.asarray(shape, dtype=np.float64)
    # Pixel centers have integer coordinates, so the center is at (size - 1) / 2.
    offsets = (centroids - (size - 1) / 2) / size
    return np.concatenate([offsets, np.abs(offsets)], axis=1).astype(np.float32)


def location_names() -> list[str]:
    """Return the names of the 4 location features."""
    return [
        "row_from_center",
        "column_from_center",
        "row_from_center_abs",
        "column_from_center_abs",
    ]
