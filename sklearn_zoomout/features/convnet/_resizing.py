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
# The largest stride of networks.
_STRIDE = 32
_LEAST_BLOCKS = SHORTEST_SIDE // _STRIDE


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


def resize_blocks(pixels: "torch.Tensor", block: int) -> "torch.Tensor":
    """Resize an image such that blocks of its pixels become blocks of 32 x 32 pixels.

    Networks reduce an image by 32. Windows of an image that begin at multiples of
    ``block`` therefore have the feature maps of the image, but near their borders.

    Parameters
    ----------
    pixels : tensor of shape (channels, height, width), float32
        The image.
    block : int
        Side of a block in pixels. Border pixels are repeated until the image has whole
        blocks, see `blocks_shape`.

    Returns
    -------
    tensor of shape (channels, new height, new width), float32
        The resized image.
    """
    import torch

    height, width = pixels.shape[1:]
    rows, columns = blocks_shape((height, width), block)
    padding = (0, columns - width, 0, rows - height)
    padded = torch.nn.functional.pad(pixels[None], padding, mode="replicate")[0]
    return resize(padded, [rows // block * _STRIDE, columns // block * _STRIDE])


def blocks_shape(shape: tuple[int, int], block: int) -> tuple[int, int]:
    """Return the shape of an image in whole blocks, at least 3 x 3 of them."""
    rows, columns = (max(-(-side // block), _LEAST_BLOCKS) * block for side in shape)
    return rows, columns
