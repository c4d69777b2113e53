"""Images of a training step: other sizes, crops and mirror images; needs torch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from ...backbones import Network
from ...images import as_float
from ...masks import UNLABELED
from ...superpixels import SegmentedImage
from ._resizing import SHORTEST_SIDE, resize

# An image is shown at sizes between these times its usual one.
_SCALES = (0.75, 4 / 3)
# A photograph larger than this times the longest side that is ever shown is shrunk to
# half of that once, since resizing it anew takes longer than a training step. So many
# are kept, of 1.5 MB each; of more photographs, each is shown only a few times.
_LARGE = 3
_KEPT = 500


class Augmentation:
    """Show images at other sizes, in part, and mirrored.

    Parameters
    ----------
    network : Network
        Standardizes the pixels.
    superpixels, codes, input_size
        See `train_on_regions`.
    rng : numpy.random.Generator
        Draws sizes, places and mirror images.
    """

    def __init__(
        self,
        network: Network,
        superpixels: Sequence[SegmentedImage],
        codes: Sequence[NDArray[np.int64]],
        input_size: int,
        rng: np.random.Generator,
    ) -> None:
        self.network, self.superpixels, self.codes = network, superpixels, codes
        self.input_size, self.rng = input_size, rng
        self._shrunk: dict[int, _Photograph] = {}

    def draw(self, images: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a batch.

        Parameters
        ----------
        images : ndarray of int64 of shape (N,)
            Positions of the images.

        Returns
        -------
        pixels : tensor of float32 of shape (N, 3, height, width)
            Standardized; 0, the mean color, outside of an image.
        segments : tensor of int64 of shape (N, height, width)
            The superpixels, numbered through all images; what is outside of an image
            is one more.
        codes : tensor of int64 of shape (n_segments + 1 of all images,)
            Their classes.
        """
        chosen = [self._read(i) for i in images.tolist()]
        # It holds all of them at their usual size, and is large enough for a network.
        sizes = [_scaled(photograph.shape, self.input_size) for photograph in chosen]
        canvas = np.max([*sizes, [SHORTEST_SIDE, SHORTEST_SIDE]], axis=0)
        pixels, segments, n_segments = [], [], 0
        for photograph in chosen:
            shown, labels = self._place(photograph, canvas.tolist())
            pixels.append(shown)
            segments.append(labels + n_segments)
            n_segments += photograph.n_segments + 1
        codes = np.concatenate([np.append(self.codes[i], UNLABELED) for i in images])
        return (
            torch.stack(pixels),
            torch.stack(segments),
            torch.from_numpy(codes).to(self.network.device),
        )

    def _read(self, i: int) -> "_Photograph":
        """Read an image and its superpixels; a large one is shrunk."""
        if i in self._shrunk:
            return self._shrunk[i]
        segmented = self.superpixels[i]
        shape, n_segments = segmented.shape, segmented.n_segments
        photograph = _Photograph(shape, segmented.image, segmented.segments, n_segments)
        largest = _LARGE * self.input_size * _SCALES[1]
        if max(shape) <= largest:
            return photograph
        photograph = _shrink(photograph, _scaled(shape, largest / 2))
        if len(self._shrunk) < _KEPT:
            self._shrunk[i] = photograph
        return photograph

    def _place(
        self, photograph: "_Photograph", canvas: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Show an image, or a part of it, somewhere on the canvas."""
        scale = np.exp(self.rng.uniform(*np.log(_SCALES)))
        size = _scaled(photograph.shape, self.input_size * scale)
        # The corner of the canvas in the image; negative where that is smaller.
        top, left = (
            int(self.rng.integers(min(0, spare), max(0, spare) + 1))
            for spare in np.subtract(size, canvas).tolist()
        )
        below, beyond = top + canvas[0] - size[0], left + canvas[1] - size[1]
        window = (-left, beyond, -top, below)  # negative padding cuts
        prepared = self.network.prepare(as_float(photograph.image))
        pixels = pad(resize(prepared, size), window)
        labels = torch.from_numpy(_nearest(photograph.segments, size).astype(np.int64))
        labels = pad(labels, window, value=photograph.n_segments).to(pixels.device)
        if self.rng.random() < 0.5:
            return pixels.flip(2), labels.flip(1)
        return pixels, labels


class _Photograph(NamedTuple):
    """An image of a shape and its superpixels, both perhaps shrunk."""

    shape: tuple[int, int]
    image: NDArray[Any]
    segments: NDArray[Any]
    n_segments: int


def _shrink(photograph: _Photograph, size: Sequence[int]) -> _Photograph:
    # In float before and in uint8 after, whatever it came in: equal images stay equal.
    image = cv2.resize(
        as_float(photograph.image), tuple(size)[::-1], interpolation=cv2.INTER_AREA
    )
    labels = _nearest(photograph.segments, size)
    return photograph._replace(
        image=np.rint(255 * image).astype(np.uint8),
        segments=labels.astype(np.min_scalar_type(photograph.n_segments)),
    )


def _nearest(segments: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Resize a label map: every pixel takes the label at its center."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old // new).astype(int)
        for new, old in zip(size, segments.shape, strict=True)
    )
    return segments[np.ix_(rows, columns)]


def _scaled(shape: tuple[int, int], length: float) -> list[int]:
    """Scale a shape so that its longer side has a length."""
    return [max(round(side * length / max(shape)), 1) for side in shape]
