"""What a check is given: small images, their masks, and the input made of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline

from ..classifier import ZoomoutClassifier
from ..features import RegionFeatures
from ..superpixels import SegmentedImage, Superpixels, SuperpixelSegmenter
from ..table import FeatureTable
from ._kind import Kind

_SIZES = [(36, 48), (40, 44), (32, 56), (36, 48)]
_COLORS = np.array([[70, 120, 200], [60, 140, 50], [150, 100, 60]])
_PIXELS_PER_SUPERPIXEL = 64
_FEWEST_IMAGES = 4


class MeanColor(RegionFeatures):
    """The mean of each channel and the place of every superpixel."""

    block_name = "mean"

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Remember the number of channels."""
        self.n_channels_ = superpixels[0].channels.shape[2]

    def describe(self, segmented: SegmentedImage) -> NDArray[Any]:
        """Average channels and coordinates over every superpixel."""
        labels = segmented.segments.ravel()
        places = np.moveaxis(np.indices(segmented.shape) / 100, 0, -1)
        values = np.concatenate([segmented.channels, places], axis=2)
        sums = [np.bincount(labels, v) for v in values.reshape(len(labels), -1).T]
        return (np.array(sums) / segmented.areas).T

    def column_names(self) -> list[str]:
        """Name the channels and the coordinates."""
        return [*(f"channel_{i}" for i in range(self.n_channels_)), "row", "column"]


class SceneColor(RegionFeatures):
    """The mean of all channels of an image, one row for all its superpixels."""

    block_name = "scene"
    per_image = True

    def describe(self, segmented: SegmentedImage) -> NDArray[Any]:
        """Average all values."""
        return np.array([segmented.channels.mean()])

    def column_names(self) -> list[str]:
        """Name the column."""
        return ["mean"]


def make_level() -> FeatureUnion:
    """Return a cheap level: columns of every superpixel, and one of the scene."""
    return FeatureUnion([("mean", MeanColor()), ("scene", SceneColor())])


def make_classifier() -> ZoomoutClassifier:
    """Return a classifier that is fitted in milliseconds."""
    return ZoomoutClassifier(estimator=GaussianNB(var_smoothing=1e-2))


def _make_example(
    size: tuple[int, int], seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make an image of sky, grass and a wall with noise, and its mask."""
    rng = np.random.default_rng(seed)
    height, width = size
    mask = np.zeros(size, dtype=np.int64)
    mask[int(height * rng.uniform(0.45, 0.6)) :] = 1
    left = rng.integers(4, width // 2)
    mask[height // 4 : height // 2 + 6, left : left + width // 3] = 2
    image = _COLORS[mask] + rng.normal(0, 4, (*size, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


@dataclass(frozen=True)
class Given:
    """Images and masks, and the input of an estimator that is made of them.

    Parameters
    ----------
    kind : Kind
        What the estimator takes and returns.
    images : list of ndarray of shape (height, width, n_channels)
        The images.
    masks : list of ndarray of int of shape (height, width)
        Their masks.
    segments : list of ndarray of int of shape (height, width)
        The label maps of their superpixels.
    n_segments : int
        About how many superpixels an image has.
    """

    kind: Kind
    images: list[NDArray[Any]]
    masks: list[NDArray[Any]]
    segments: list[NDArray[Any]]
    n_segments: int

    def fresh(self) -> "Given":
        """Return the same data in new arrays, which a check may change."""
        return replace(
            self,
            images=[image.copy() for image in self.images],
            masks=[mask.copy() for mask in self.masks],
            segments=[segments.copy() for segments in self.segments],
        )

    @property
    def y(self) -> list[NDArray[Any]]:
        """The masks."""
        return self.masks

    @cached_property
    def X(self) -> Any:
        """The input of the estimator; always the same object."""
        return self.input_of(self.images)

    def input_of(
        self,
        images: list[NDArray[Any]],
        form: Callable[[NDArray[Any]], NDArray[Any]] = lambda array: array,
    ) -> Any:
        """Make the input of the estimator of images.

        Parameters
        ----------
        images : list of ndarray
            The images, or others of their sizes.
        form : callable, optional
            Changes how every array of the input lies in memory.

        Returns
        -------
        list of ndarray, Superpixels or FeatureTable
        """
        if self.kind.input == "images":
            return [form(image) for image in images]
        if self.kind.input == "superpixels":
            return self._superpixels([form(image) for image in images])
        table = make_level().fit_transform(self._superpixels(images))
        blocks = (replace(block, values=form(block.values)) for block in table.blocks)
        return FeatureTable(table.superpixels, blocks)

    def _superpixels(self, images: list[NDArray[Any]]) -> Superpixels:
        pairs = zip(images, self.segments, strict=True)
        return Superpixels(SegmentedImage(*pair) for pair in pairs)

    def take(self, indices: Any) -> tuple[Any, list[NDArray[Any]]]:
        """Return the input and the masks of some images."""
        masks = [self.masks[i] for i in indices]
        if self.kind.input == "images":
            return [self.X[i] for i in indices], masks
        return self.X[np.asarray(indices)], masks

    def pipeline_around(self, estimator: Any) -> Pipeline:
        """Return a pipeline from images to label maps that has the estimator."""
        before: list[tuple[str, Any]] = []
        if self.kind.input != "images":
            segmenter = SuperpixelSegmenter(n_segments=self.n_segments)
            before.append(("superpixels", segmenter))
        if self.kind.input == "table":
            before.append(("level", make_level()))
        after: list[tuple[str, Any]] = []
        if self.kind.output == "superpixels":
            after.append(("level", make_level()))
        if self.kind.output != "labels":
            after.append(("classifier", make_classifier()))
        return Pipeline([*before, ("checked", estimator), *after])


def make_given(kind: Kind, images: Any = None, masks: Any = None) -> Given:
    """Make the data of all checks of an estimator.

    Parameters
    ----------
    kind : Kind
        What the estimator takes and returns.
    images, masks : sequence of array-like, default=None
        The images and their masks. None makes small ones of three classes.

    Returns
    -------
    Given

    Raises
    ------
    ValueError
        If there are images without masks, or fewer than four.
    """
    if (images is None) != (masks is None):
        raise ValueError("images, masks: expected both or none, got one of them.")
    if images is None:
        pairs = [_make_example(size, seed) for seed, size in enumerate(_SIZES)]
        images, masks = zip(*pairs, strict=True)
    images = [np.array(image) for image in images]
    masks = [np.array(mask) for mask in masks]
    if len(images) < _FEWEST_IMAGES or len(images) != len(masks):
        raise ValueError(
            f"images: expected at least {_FEWEST_IMAGES}, with a mask for each, since "
            f"folds and subsets are tried, got {len(images)} and {len(masks)} masks."
        )
    images = [image if image.ndim == 3 else image[..., None] for image in images]
    n_pixels = int(np.median([mask.size for mask in masks]))
    n_segments = min(max(n_pixels // _PIXELS_PER_SUPERPIXEL, 4), 100)
    cut = SuperpixelSegmenter(n_segments=n_segments).fit_transform(images)
    segments = [np.array(segmented.segments) for segmented in cut]
    return Given(kind, images, masks, segments, n_segments)
