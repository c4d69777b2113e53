"""All levels of an image at once."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.pipeline import FeatureUnion
from sklearn.utils.validation import check_is_fitted

from ..superpixels import Superpixels, check_superpixels
from ..table import FeatureTable
from ._base import RegionFeatures, RowCollector
from .convnet import ConvnetFeatures


class ZoomoutUnion(FeatureUnion):
    """A `sklearn.pipeline.FeatureUnion` that goes from image to image.

    A FeatureUnion computes one level of all images, then the next. This one computes
    all levels of an image before it goes to the next image, so that levels which look
    at it through the same network (the distant and the maps level of the preset
    "fast") share one pass. The features are the same.

    Parameters
    ----------
    transformer_list : list of (str, transformer) tuples
        The levels; see `sklearn.pipeline.FeatureUnion`, also for the other parameters.
        With ``n_jobs``, ``transformer_weights``, or a level that is no `RegionFeatures`
        or describes its training images otherwise than others (`LocalConvnetFeatures`),
        it does what a FeatureUnion does.

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

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> FeatureTable:
        """Fit all levels, and describe the images.

        Parameters
        ----------
        X : Superpixels
            The images.
        y : sequence of ndarray, optional
            Their masks.
        **params
            See `sklearn.pipeline.FeatureUnion`.

        Returns
        -------
        FeatureTable
            A block for each level.
        """
        plain = TransformerMixin.fit_transform
        levels = self._levels()
        if params or any(type(x).fit_transform is not plain for x in levels):
            return super().fit_transform(X, y, **params)
        return self.fit(X, y).transform(X)

    def transform(self, X: Any, **params: Any) -> FeatureTable:
        """Describe the images.

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
        if (
            params
            or not levels
            or self.n_jobs not in (None, 1)
            or self.transformer_weights
        ):
            return super().transform(X, **params)
        superpixels = check_superpixels(X)
        for level in levels:
            check_is_fitted(level)
        collectors = [RowCollector(level, superpixels) for level in levels]
        described = [level._describe_all(superpixels) for level in levels]
        images = _share_maps(superpixels, levels)
        for i, *rows in zip(images, *described, strict=True):
            for collector, rows_of_image in zip(collectors, rows, strict=True):
                collector.put(i, rows_of_image)
        return np.concatenate([c.table() for c in collectors], axis=1)  # type: ignore

    def _levels(self) -> list[RegionFeatures]:
        """List the levels that are not left out; none if one is something else."""
        levels = [level for _, level in self.transformer_list if level != "drop"]
        if all(isinstance(level, RegionFeatures) for level in levels):
            return levels
        return []


def _share_maps(
    superpixels: Superpixels, levels: Sequence[RegionFeatures]
) -> Iterator[int]:
    """Count the images, and let levels share maps of the one that it is the turn of.

    What is shared is ``memo["maps"]`` of the image: for every kind of pass, the layers
    that any level needs, and their maps as soon as one has computed them.
    """
    layers: dict[Any, dict[str, None]] = {}  # a set that keeps its order
    for level in levels:
        if isinstance(level, ConvnetFeatures) and level.sees_whole_image:
            names = level.get_network().layers
            layers.setdefault(level.pass_key, {}).update(dict.fromkeys(names))
    for i, segmented in enumerate(superpixels):
        segmented.memo["maps"] = {key: (tuple(x), {}) for key, x in layers.items()}
        try:
            yield i
        finally:
            del segmented.memo["maps"]
