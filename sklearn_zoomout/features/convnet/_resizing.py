"""The size at which a network sees an image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

# Networks of five strides need some pixels: the shorter side of a very long image is
# stretched to this.
SHORTEST_SIDE = 96


def resize(pixels: "torch.Tensor", size: Sequence[int]) -> "torch.Tensor":
    """Resize an image by antialiased bilinear interpolation.

    Parameters
    ----------
    pixels : tensor of shape (channels, height, width), float32
        The image.
    size : sequence of 2 int
        New height and width in pixels.

    Returns
    -------
    tensor of shape (channels, *size), float32
        The resized image.
    """
    import torch
    from torch.nn.functional import interpolate

    height, width = size
    grows = height >= pixels.shape[1] and width >= pixels.shape[2]
    if grows and pixels.device.type == "cpu" and not pixels.requires_grad:
        # Nothing to antialias: the same to rounding, and much faster.
        array = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
        return torch.from_numpy(cv2.resize(array, (width, height))).permute(2, 0, 1)
    return interpolate(
        pixels[None], tuple(size), mode="bilinear", align_corners=False, antialias=True
    )[0]


def resize_longer_side(pixels: "torch.Tensor", length: int) -> "torch.Tensor":
    """Resize an image to a length of its longer side, keeping its aspect ratio.

    Parameters
    ----------
    pixels : tensor of shape (channels, height, width), float32
        The image.
    length : int
        New length of its longer side in pixels. The shorter side of a very long image
        is stretched to 96 pixels.

    Returns
    -------
    tensor of shape (channels, new height, new width), float32
        The resized image.
    """
    height, width = pixels.shape[1:]
    scale = length / max(height, width)
    shortest = min(SHORTEST_SIDE, length)
    return resize(
        pixels, [max(round(side * scale), shortest) for side in (height, width)]
    )
