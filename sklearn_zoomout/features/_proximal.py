"""The proximal level: the superpixel's surroundings (section 4.2.2)."""

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from ..cache import FeatureCache
from ._local import DESCRIPTORS, LocalFeatures


class ProximalFeatures(LocalFeatures):
    """The features of `LocalFeatures`, over all superpixels nearby.

    The region of a superpixel consists of all superpixels within graph distance 2. It
    can have any shape, and covers about 100 x 100 pixels of a 500 x 375 image. Its
    histograms are sums of the counts of its superpixels, so that together with
    `LocalFeatures` this level needs no second pass over the pixels.

    Parameters
    ----------
    descriptors : sequence of {"color", "texture", "sift", "location"}, default=all four
        The descriptors to compute, in the order of the columns.
    radius : int, default=2
        Largest graph distance between the superpixel and those of its region.
    n_textons : int, default=64
        Number of textons.
    n_words : int, default=500
        Number of visual words.
    dictionary_images : int, default=100
        Number of training images to sample, at most, for the dictionaries.
    n_jobs : int or None, default=None
        How many images to work on at once, in threads; see `joblib.Parallel`.
    memory : str, path, FeatureCache or None, default=None
        A folder that keeps the rows of every image, so that they are computed once
        only; see `FeatureCache`, which also bounds its size. Delete the folder to clear
        it. With "texture" or "sift" the rows depend on the dictionaries, which
        differ for other training images and, without a `random_state`, in every fit.
    random_state : int, RandomState instance or None, default=None
        Seeds the samples and k-means.
    verbose : int, default=0
        Show a progress bar if positive.

    Attributes
    ----------
    n_bands_, textons_, texton_mean_, texton_scale_, words_, n_features_out_
        See `LocalFeatures`.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or `descriptors` names an unknown one.
    TypeError
        If `fit` or `transform` is given images instead of superpixels.

    References
    ----------
    Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation with
    zoom-out features", arXiv 1412.0774, section 4.2.2.

    Examples
    --------
    >>> from sklearn_zoomout import ProximalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> features = ProximalFeatures(descriptors=("color",), radius=1)
    >>> features.fit_transform(superpixels).n_columns
    243
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LocalFeatures._parameter_constraints,
        "radius": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        descriptors: Sequence[str] = DESCRIPTORS,
        *,
        radius: int = 2,
        n_textons: int = 64,
        n_words: int = 500,
        dictionary_images: int = 100,
        n_jobs: int | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            descriptors,
            n_textons=n_textons,
            n_words=n_words,
            dictionary_images=dictionary_images,
            n_jobs=n_jobs,
            memory=memory,
            random_state=random_state,
            verbose=verbose,
        )
        self.radius = radius

    block_name = "proximal"
    cache_version = 2

    @property
    def _region_radius(self) -> int:
        return self.radius
