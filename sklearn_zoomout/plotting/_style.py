"""The colors and the frames that all figures share."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..images import as_float, as_three_channels, check_sequence, to_image_array
from ..superpixels import SegmentedImage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colors of the paper's figures 1 to 3.
LEVEL_COLORS = {
    "local": "#E6001F",
    "proximal": "#00C8D7",
    "distant": "#FF8C00",
    "global": "#1FA81F",
}


def draw_frame(ax: "Axes", color: str, width: float) -> None:
    """Remove the ticks of a picture and color its frame."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(edgecolor=color, linewidth=width)


def check_pictures(images: Any) -> list[NDArray[Any]]:
    """Check images of any number of channels and of any type, to be drawn.

    Parameters
    ----------
    images : sequence of array-like of shape (height, width[, n_channels])
        The images.

    Returns
    -------
    list of ndarray of shape (height, width, n_channels)

    Raises
    ------
    TypeError, ValueError
        If ``images`` is not a sequence of images.
    """
    check_sequence(images, "images", "an image", single_ndim=3)
    return [to_image_array(x, f"images[{i}]") for i, x in enumerate(images)]


def picture_of(image: "NDArray[Any] | SegmentedImage") -> NDArray[np.float32]:
    """Return colors of an image to be drawn: its first three channels, or the first.

    Parameters
    ----------
    image : SegmentedImage, or ndarray of shape (height, width, n_channels)
        Values outside of uint8 and of floats in 0..1 are stretched between their
        quantiles 0.1 % and 99.9 %.

    Returns
    -------
    ndarray of float32 of shape (height, width, 3)
    """
    values = image.image if isinstance(image, SegmentedImage) else image
    values = values[..., :3] if values.shape[2] >= 3 else values[..., :1]
    is_float = values.dtype.kind == "f"
    if values.dtype != np.uint8:
        known = np.isfinite(values)
        low, high = (0.0, 1.0)
        inside = is_float and known.all() and values.min() >= 0 and values.max() <= 1
        if not inside and known.any():
            low, high = np.quantile(values[known], [0.001, 0.999])
        scaled = (np.where(known, values, low) - low) / (max(high - low, 1e-12))
        values = scaled.clip(0, 1)
    return as_float(as_three_channels(values))
