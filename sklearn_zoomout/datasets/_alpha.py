"""What becomes of transparent pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What `read_image` can do with them.
ALPHAS = ("error", "drop", "white", "nodata", "keep")


def apply_alpha(
    image: NDArray[Any], opacity: NDArray[Any] | None, alpha: str, name: str
) -> NDArray[Any]:
    """Combine a picture and its alpha channel.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, n_channels)
        The picture.
    opacity : ndarray of shape (height, width), or None
        The alpha channel, of the same dtype.
    alpha : {"error", "drop", "white", "nodata", "keep"}
        What to do.
    name : str
        The name of the picture in errors.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If pixels are transparent and ``alpha`` is "error".
    """
    if opacity is None:
        return image
    integers = image.dtype.kind in "iu"
    full = np.iinfo(image.dtype).max if integers else 1.0
    if alpha == "keep":
        return np.dstack([image, opacity])
    n_transparent = int((opacity < full).sum())
    if alpha == "drop" or n_transparent == 0:
        return image
    if alpha == "error":
        raise ValueError(
            f"{name}: expected opaque pixels, got {n_transparent} transparent ones; "
            'pass alpha="drop", "white", "nodata" or "keep".'
        )
    planes = np.atleast_3d(image)
    if alpha == "nodata":
        planes = np.divide(planes, full, dtype=np.float32)
        planes[opacity == 0] = np.nan
        return planes.reshape(image.shape)
    # 24 bits are enough for values of 16, and large pictures take half the memory.
    floating = np.result_type(image.dtype, np.float32)
    share = np.divide(opacity[..., None], full, dtype=floating)
    blended = planes * share
    blended += full * (1 - share)
    if integers:
        np.rint(blended, out=blended)
    return blended.astype(image.dtype).reshape(image.shape)
