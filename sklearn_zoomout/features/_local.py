"""The local level: hand-crafted features of the superpixel itself (section 4.2.1)."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils._param_validation import Interval

from ..cache import FeatureCache
from ..descriptors import (
    assign_textons,
    assign_words,
    color_codes,
    color_features,
    color_names,
    filter_responses,
    image_sift,
    location_features,
    location_names,
    points_of_regions,
    texture_features,
    texture_names,
    word_features,
    word_names,
)
from ..descriptors._color import N_BINS
from ..superpixels import SegmentedImage, Superpixels
from ._base import RegionFeatures
from ._dictionaries import shared_dictionary

DESCRIPTORS = ("color", "texture", "sift", "location")

# What the codes of a descriptor depend on, besides the image.
_FITTED = {
    "color": (),
    "texture": ("textons_", "texton_mean_", "texton_scale_"),
    "sift": ("words_",),
}


class LocalFeatures(RegionFeatures):
    """Color, texture, visual words and location of each superpixel.

    The 1,818 hand-crafted values of the paper:

    - "color", 243 values: for each channel of L*a*b* the histograms of 32 and of 8
      equal bins, the entropy of the first, and the histograms of 32 and of 8 bins at
      the quantiles of the image;
    - "texture", 65: the histogram over 64 textons, and its entropy;
    - "sift", 1,506: for each channel the histogram over 500 visual words, averaged
      over patches of 8 and of 18 pixels every 8 pixels, and the six entropies before
      averaging;
    - "location", 4: the centroid relative to the center of the image, in units of
      its height and width, signed and absolute.

    Of an image of n bands, "color" describes the lightness of every band, 81 values
    each. "texture" responds to every band, and to lines and blobs of their mean. "sift"
    describes their mean alone, 502 values.

    Textons and words are clustered from a sample of the images seen by `fit`.
    `ProximalFeatures` with equal parameters, fitted on the same superpixels, uses the
    same dictionaries. The two share the work per pixel.

    Parameters
    ----------
    descriptors : sequence of {"color", "texture", "sift", "location"}, default=all four
        The descriptors to compute, in the order of the columns.
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
    n_bands_ : int or None
        The number of bands of the images, None if they are RGB or gray.
    textons_ : ndarray of shape (n_textons, 17), float32
        Centers of standardized filter responses; only with "texture". There are 17
        filters, or 8 and 3 of every band.
    texton_mean_, texton_scale_ : ndarray of shape (17,), float32
        Mean and standard deviation of the responses, in units of L*a*b*.
    words_ : ndarray of shape (n_words, 128), float32
        Centers of SIFT descriptors; only with "sift".
    n_features_out_ : int
        Number of columns.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or `descriptors` names an unknown one.
    TypeError
        If `fit` or `transform` is given images instead of superpixels.

    References
    ----------
    Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation with
    zoom-out features", arXiv 1412.0774, section 4.2.1.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> features = LocalFeatures(descriptors=("texture", "location"), random_state=0)
    >>> table = features.fit_transform(superpixels)
    >>> table.n_columns
    69
    >>> table.columns[-1]
    'local__column_from_center_abs'
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "descriptors": [tuple, list],
        "n_textons": [Interval(Integral, 1, None, closed="left")],
        "n_words": [Interval(Integral, 1, None, closed="left")],
        "dictionary_images": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "memory": [str, os.PathLike, FeatureCache, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        descriptors: Sequence[str] = DESCRIPTORS,
        *,
        n_textons: int = 64,
        n_words: int = 500,
        dictionary_images: int = 100,
        n_jobs: int | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.descriptors = descriptors
        self.n_textons = n_textons
        self.n_words = n_words
        self.dictionary_images = dictionary_images
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    block_name = "local"
    cache_version = 2
    _not_in_key = RegionFeatures._not_in_key | {
        "n_textons",
        "n_words",
        "dictionary_images",
        "random_state",
    }

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Fit the dictionaries that the chosen descriptors need."""
        self._check_descriptors()
        self.n_bands_ = None
        if set(self.descriptors) - {"location"}:
            self.n_bands_ = superpixels[0].n_bands
        options = (self.dictionary_images, self.random_state, self.n_jobs)
        if "texture" in self.descriptors:
            self.textons_, self.texton_mean_, self.texton_scale_ = shared_dictionary(
                superpixels, "texture", self.n_textons, *options
            )
        if "sift" in self.descriptors:
            self.words_ = shared_dictionary(superpixels, "sift", self.n_words, *options)

    def describe(self, segmented: SegmentedImage) -> NDArray[np.float32]:
        """Describe the regions of one image.

        Parameters
        ----------
        segmented : SegmentedImage

        Returns
        -------
        ndarray of shape (n_segments, n_features_out_), float32
        """
        near = segmented.neighborhood(self._region_radius)
        centroids = segmented.region_centroids(self._region_radius)
        codes = self._codes_of_superpixels(segmented)
        parts = []
        for kind in self.descriptors:
            if kind == "color":
                parts.append(color_features(near @ codes[kind].toarray()))
            elif kind == "texture":
                parts.append(texture_features(near @ codes[kind].toarray()))
            elif kind == "sift":
                held = points_of_regions(segmented.segments, near, centroids)
                parts.append(word_features(held, codes[kind], len(self.words_)))
            else:
                parts.append(location_features(centroids, segmented.shape))
        return np.concatenate(parts, axis=1)

    def column_names(self) -> list[str]:
        """Names of the columns, without the name of the level."""
        names_of: dict[str, Callable[[], list[str]]] = {
            "color": lambda: color_names(self.n_bands_),
            "texture": lambda: texture_names(len(self.textons_)),
            "sift": lambda: word_names(len(self.words_), self.n_bands_ is not None),
            "location": location_names,
        }
        return [name for kind in self.descriptors for name in names_of[kind]()]

    @property
    def _region_radius(self) -> int:
        """Graph distance from the superpixel to the border of its region."""
        return 0

    def _codes_of_superpixels(self, segmented: SegmentedImage) -> dict[str, Any]:
        """Count colors and textons per superpixel, and find words of grid points.

        They do not depend on the radius, so the image keeps them for other levels,
        by the digest of the dictionary that they belong to.
        """
        lab = cache(lambda: self._colors(segmented))
        codes = {}
        for kind in self.descriptors:
            if kind == "location":
                continue
            codes[kind] = segmented.shared.get(
                (kind, self._dictionary_digest(kind)),
                partial(self._encode, kind, segmented, lab),
            )
        return codes

    def _colors(self, segmented: SegmentedImage) -> NDArray[np.float32]:
        """Return L*a*b* or the lightness of bands, of as many channels as in fit."""
        if segmented.n_bands != self.n_bands_:
            kinds = [
                "RGB or gray" if n is None else f"{n} bands"
                for n in (self.n_bands_, segmented.n_bands)
            ]
            raise ValueError(
                f"{self.block_name}: expected images of {kinds[0]}, as in fit, got "
                f"{kinds[1]}; pass images of the same channels, or fit again."
            )
        return segmented.colors

    def _encode(
        self,
        kind: str,
        segmented: SegmentedImage,
        convert: Callable[[], NDArray[np.float32]],
    ) -> Any:
        lab, bands = convert(), self.n_bands_ is not None
        if kind == "sift":
            words = assign_words(image_sift(lab, bands), self.words_)
            return words.astype(np.min_scalar_type(len(self.words_)))
        if kind == "texture":
            textons = assign_textons(
                filter_responses(lab, bands), *(getattr(self, x) for x in _FITTED[kind])
            )
            counts = segmented.count(textons, len(self.textons_))
        else:
            counts = np.hstack(
                [segmented.count(codes, N_BINS) for codes in color_codes(lab, bands)]
            )
        return sparse.csr_array(counts.astype(np.float32))

    def _dictionary_digest(self, kind: str) -> bytes:
        digest = hashlib.sha256()
        for name in _FITTED[kind]:
            digest.update(getattr(self, name).tobytes())
        return digest.digest()

    def _check_params_before_fit(self) -> None:
        super()._check_params_before_fit()
        self._check_descriptors()

    def _check_descriptors(self) -> None:
        unknown = [kind for kind in self.descriptors if kind not in DESCRIPTORS]
        if (
            unknown
            or not self.descriptors
            or len(set(self.descriptors)) < len(self.descriptors)
        ):
            raise ValueError(
                f"descriptors: expected one or more of {DESCRIPTORS}, each once, got "
                f"{self.descriptors!r}."
            )
