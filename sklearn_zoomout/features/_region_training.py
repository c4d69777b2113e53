"""Training a backbone on the labels of superpixels; needs torch."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, pad
from tqdm.auto import tqdm

from ..backbones import FrozenNetwork
from ..images import as_float
from ..regions import SegmentedImage
from ._resizing import SHORTEST_SIDE, resize

NO_LABEL = -1
# An image is seen at sizes between these times its usual one.
_SCALES = (0.75, 4 / 3)
# A photograph with more than this times the longest side that is ever shown is shrunk
# to half of that, once: to resize it anew would take longer than a step of training. So
# many are kept, of 1.5 MB each; of more photographs, each is shown a few times only.
_LARGE = 3
_KEPT = 500
# Scores are added up at a quarter of the resolution: the finest maps are large.
_COARSE = 4
# The scores are new; the network's weights are good already, and its batch
# normalization, kept as it is or folded into convolutions, asks for small steps.
_SCORES_RATE = 10
_WEIGHT_DECAY = 1e-2
_DECAY_POWER = 0.9
# Images from which the deviations of the maps are taken.
_MEASURED = 8


def train_on_regions(
    network: FrozenNetwork,
    superpixels: Sequence[SegmentedImage],
    codes: Sequence[NDArray[np.int64]],
    batches: NDArray[np.int64],
    *,
    class_weight: ArrayLike,
    input_size: int,
    learning_rate: float,
    rng: np.random.Generator,
    verbose: int,
) -> None:
    """Train a network together with a linear classifier of its maps over superpixels.

    Parameters
    ----------
    network : FrozenNetwork
        In float32, without flips. It is changed.
    superpixels : sequence of SegmentedImage
        The training images.
    codes : sequence of ndarray of int64 of shape (n_segments,)
        The class of every superpixel of every image, `NO_LABEL` where there is none.
    batches : ndarray of int64 of shape (n_steps, batch_size)
        The images of each step.
    class_weight : array-like of float of shape (n_classes,)
        The weight of every class in the log-loss.
    input_size : int
        Longer side in pixels of the images, more or less.
    learning_rate : float
        First step size of AdamW; it falls to 0.
    rng : numpy.random.Generator
        Draws what is seen of an image. torch's own generator is neither read nor moved.
    verbose : int
        Show a progress bar if positive.

    Raises
    ------
    ValueError
        If the loss or the weights become NaN or infinite.
    """
    augmentation = Augmentation(network, superpixels, codes, input_size, rng)
    weight = torch.tensor(np.asarray(class_weight), dtype=torch.float32)
    weight = weight.to(network.device)
    first = np.unique(batches)[:_MEASURED]
    deviations = [
        m.std().item() or 1.0 for m in network.maps(augmentation.draw(first)[0])
    ]
    scores = RegionScores(deviations, network.widths, len(weight)).to(network.device)
    parameters = list(network.thaw())
    optimizer = torch.optim.AdamW(
        [
            {"params": parameters, "lr": learning_rate},
            {"params": scores.parameters(), "lr": _SCORES_RATE * learning_rate},
        ],
        weight_decay=_WEIGHT_DECAY,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 - step / len(batches)) ** _DECAY_POWER
    )
    bar = tqdm(batches, "fine-tuning", disable=not verbose, unit="step")
    for step, images in enumerate(bar):
        pixels, segments, targets = augmentation.draw(images)
        maps = network.maps(pixels)
        scored, areas = scores(maps, segments, len(targets))
        loss = region_loss(scored, areas, targets, weight)
        if not math.isfinite(loss.item()):
            remedy = "lower learning_rate" if step else "its maps are not finite"
            raise ValueError(
                f"fine_tune: the training loss of backbone {network.spec.name!r} "
                f"became {loss.item()} in step {step + 1} of {len(batches)}; {remedy}."
            )
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        optimizer.zero_grad()
        loss.backward()
        if all(parameter.grad is None for parameter in parameters):
            raise ValueError(
                f"fine_tune: no weight of backbone {network.spec.name!r} gets a "
                "gradient; it has none, or computes under torch.no_grad(). Pass "
                "fine_tune=None."
            )
        optimizer.step()
        schedule.step()
    network.freeze()
    if not all(bool(p.isfinite().all()) for p in network.module.parameters()):
        raise ValueError(
            f"fine_tune: the weights of backbone {network.spec.name!r} became NaN or "
            f"infinite in step {len(batches)} of {len(batches)}; lower learning_rate."
        )


def region_loss(
    scores: Tensor, areas: Tensor, targets: Tensor, weight: Tensor
) -> Tensor:
    """Give the weighted log-loss of superpixels.

    Parameters
    ----------
    scores : tensor of float32 of shape (n_segments, n_classes)
        What the softmax is taken of.
    areas : tensor of int64 of shape (n_segments,)
        A superpixel counts as much as is seen of it.
    targets : tensor of int64 of shape (n_segments,)
        Classes; `NO_LABEL` counts nothing.
    weight : tensor of float32 of shape (n_classes,)
        Weights of the classes.

    Returns
    -------
    tensor of float32 of shape ()
        0 if nothing with a label is seen.
    """
    labeled = targets != NO_LABEL
    share = areas[labeled] * weight[targets[labeled]]
    losses = cross_entropy(scores[labeled], targets[labeled], reduction="none")
    return (losses * share).sum() / share.sum().clamp(min=1e-12)


class Augmentation:
    """Show images at other sizes, in part, and mirrored.

    Parameters
    ----------
    network : FrozenNetwork
        Standardizes the pixels.
    superpixels, codes, input_size
        See `train_on_regions`.
    rng : numpy.random.Generator
        Draws sizes, places and mirror images.
    """

    def __init__(
        self,
        network: FrozenNetwork,
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
        codes = np.concatenate([np.append(self.codes[i], NO_LABEL) for i in images])
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


class RegionScores(nn.Module):
    """A linear score of every class, from maps averaged over superpixels.

    These averages are, up to interpolation, the features of
    `ConvnetSuperpixelFeatures`. The score of an average is the average of scores, so
    that here a value per class is brought from the maps to the superpixels, and not
    one per channel.

    Parameters
    ----------
    deviations : sequence of float
        What each map is divided by.
    widths : sequence of int
        Channels of each map.
    n_classes : int
        Number of classes.
    """

    def __init__(
        self, deviations: Sequence[float], widths: Sequence[int], n_classes: int
    ) -> None:
        super().__init__()
        self.deviations = deviations
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Conv2d, width, n_classes, 1) for width in widths
        )
        # All classes alike: the first gradients are those of the scores alone.
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, maps: Sequence[Tensor], segments: Tensor, n_segments: int
    ) -> tuple[Tensor, Tensor]:
        """Score superpixels.

        Parameters
        ----------
        maps : sequence of tensors of float32 of shape (N, C, h, w)
            The maps of N images.
        segments : tensor of int64 of shape (N, height, width)
            The superpixels of their pixels.
        n_segments : int
            How many there are, seen or not.

        Returns
        -------
        scores : tensor of float32 of shape (n_segments, n_classes)
            0 for superpixels of which nothing is seen.
        areas : tensor of int64 of shape (n_segments,)
            Their pixels that are seen.
        """
        height, width = segments.shape[1:]
        coarse = (height // _COARSE, width // _COARSE)
        parts = [
            _resize(score(one_map / deviation), coarse)
            for score, one_map, deviation in zip(
                self.layers, maps, self.deviations, strict=True
            )
        ]
        total = _resize(torch.stack(parts).sum(dim=0), (height, width))
        pixels = total.permute(0, 2, 3, 1).flatten(0, 2)
        flat = segments.flatten()
        areas = torch.bincount(flat, minlength=n_segments)
        sums = pixels.new_zeros(len(areas), pixels.shape[1]).index_add(0, flat, pixels)
        return sums / areas.clamp(min=1)[:, None], areas


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if maps.shape[2] > size[0]:  # all cells count
        return interpolate(maps, size, mode="area")
    return interpolate(maps, size, mode="bilinear", align_corners=False)
