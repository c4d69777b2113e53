"""All levels of an image at once."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.pipeline import FeatureUnion
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from ..regions import SegmentedImage
from ..superpixels import Superpixels, check_superpixels
from ..table import FeatureTable
from ._base import RegionFeatures, RowCollector
from ._convnet import share_passes
from .fine_tuning import share_fine_tuning


class ZoomoutUnion(FeatureUnion):
    """A `sklearn.pipeline.FeatureUnion` that goes from image to image.

    A FeatureUnion computes one level of all images, then the next. This one computes
    all levels of an image together, so that levels which look at it through the same
    network (the distant and the maps level of the preset "fast") share one pass, and
    images can be spread over threads, processes or machines. The features are the same.

    Parameters
    ----------
    transformer_list : list of (str, transformer) tuples
        The levels, or "drop"; see `sklearn.pipeline.FeatureUnion`. If one of them is no
        `RegionFeatures`, this is a FeatureUnion.
    n_jobs : int or None, default=None
        How many images to work on at once, in threads, or as
        `joblib.parallel_config` says.
    transformer_weights : None
        A table of features cannot be weighted.
    verbose : bool, default=False
        Show a progress bar.
    verbose_feature_names_out : bool, default=True
        See `sklearn.pipeline.FeatureUnion`.

    Examples
    --------
    >>> from sklearn_zoomout import (
    ...     ConvnetRegionFeatures, ConvnetSuperpixelFeatures, SuperpixelSegmenter,
    ...     ZoomoutUnion,
    ... )
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> distant = ConvnetRegionFeatures(input_size=96)
    >>> maps = ConvnetSuperpixelFeatures(input_size=96)
    >>> union = ZoomoutUnion([("distant", distant), ("maps", maps)])
    >>> union.fit_transform(superpixels)
    FeatureTable(2 images, ... superpixels, 584 columns; distant: 256, maps: 328)
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all levels, one after the other.

        Parameters
        ----------
        X : Superpixels
            The training images.
        y : sequence of ndarray, optional
            Their masks.
        **params
            See `sklearn.pipeline.FeatureUnion`.

        Returns
        -------
        self : ZoomoutUnion
        """
        self._validate_transformers()
        levels = self._levels()
        if params or not levels:
            return super().fit(X, y, **params)
        X = check_superpixels(X)
        with share_fine_tuning():
            for level in levels:
                level.fit(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> FeatureTable:
        """Fit all levels, and describe the training images.

        Parameters
        ----------
        X : Superpixels
            The training images.
        y : sequence of ndarray, optional
            Their masks.
        **params
            See `sklearn.pipeline.FeatureUnion`.

        Returns
        -------
        FeatureTable
            A block for each level.
        """
        self._validate_transformers()
        levels = self._levels()
        if params or not levels:
            return super().fit_transform(X, y, **params)
        tables, others = {}, []
        X = check_superpixels(X)
        with share_fine_tuning():
            for i, level in enumerate(levels):
                if type(level).fit_transform is TransformerMixin.fit_transform:
                    level.fit(X, y)
                    others.append(i)
                else:  # describes its training images otherwise than `transform`
                    tables[i] = level.fit_transform(X, y)
        described = self._describe([levels[i] for i in others], X)
        tables.update(zip(others, described, strict=True))
        return _side_by_side([tables[i] for i in range(len(levels))])

    def transform(self, X: Any, **params: Any) -> FeatureTable:
        """Describe images.

        Parameters
        ----------
        X : Superpixels
            The images.
        **params
            See `sklearn.pipeline.FeatureUnion`.

        Returns
        -------
        FeatureTable
            A block for each level.
        """
        levels = self._levels()
        if params or not levels:
            return super().transform(X, **params)
        for level in levels:
            check_is_fitted(level)
        return _side_by_side(self._describe(levels, X))

    def _levels(self) -> list[RegionFeatures]:
        """List the levels that are not left out; none if one is something else."""
        if self.transformer_weights:
            raise ValueError(
                "transformer_weights: expected None, since features of different "
                f"levels are scaled by the classifier, got {self.transformer_weights}."
            )
        levels = [level for _, level in self.transformer_list if level != "drop"]
        known = all(isinstance(level, RegionFeatures) for level in levels)
        return levels if known else []

    def _describe(self, levels: Sequence[RegionFeatures], X: Any) -> list[FeatureTable]:
        superpixels = check_superpixels(X)
        collectors = [RowCollector(level, superpixels) for level in levels]
        # An image takes long enough to be a task of its own; larger ones would leave
        # processes idle at the end.
        parallel = Parallel(
            self.n_jobs, prefer="threads", return_as="generator", batch_size=1
        )
        described = parallel(delayed(_describe_image)(levels, s) for s in superpixels)
        quiet = not (self.verbose and levels)
        bar = tqdm(described, "zoom-out", len(superpixels), disable=quiet, unit="image")
        for i, rows_of_levels in enumerate(bar):
            for collector, rows in zip(collectors, rows_of_levels, strict=True):
                collector.put(i, rows)
        return [collector.table() for collector in collectors]


def _side_by_side(tables: list[FeatureTable]) -> FeatureTable:
    return np.concatenate(tables, axis=1)  # type: ignore[return-value]


def _describe_image(
    levels: Sequence[RegionFeatures], segmented: SegmentedImage
) -> list[NDArray[Any]]:
    """Compute the rows of all levels of one image."""
    one = Superpixels([segmented])
    # The image is a task by itself: tasks of its own would run elsewhere, where levels
    # cannot share a pass.
    with parallel_config("sequential"), share_passes(levels, segmented):
        return [next(level.recall_or_describe(one)) for level in levels]
