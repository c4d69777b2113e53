"""`SuperpixelSegmenter`: from images to superpixels (section 4.1)."""

import os
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm.auto import tqdm

from .._utils.digests import digest_array, digest_state
from .._utils.params import validate_params
from ..cache import FeatureCache, entry_key, open_cache
from ..descriptors import rgb_to_lab
from ..exceptions import SuperpixelWarning
from ..images import as_float, check_images
from ..masks import iter_training_masks
from ._segmented_image import SegmentedImage
from ._sequence import CheckedMasks, Superpixels
from ._slic import slic


class SuperpixelSegmenter(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Cut images into superpixels.

    Parameters
    ----------
    n_segments : int, default=500
        Approximate number of superpixels per image.
    compactness : float, default=15.0
        SLIC's weight of distances in space compared with distances in color. Larger
        values make superpixels more like squares.
    method : "slic" or callable, default="slic"
        "slic" is `sklearn_zoomout.superpixels.slic`. The argument of a callable is the
        image as float32 of shape (height, width, 3) in 0..1. It returns an integer
        label map of shape (height, width). The parameters above have no effect on it.
    n_jobs : int or None, default=None
        Number of images to segment at once, in threads; see `joblib.Parallel`.
    memory : str, path, FeatureCache or None, default=None
        A folder that stores the label maps, so that each image is segmented only once.
        A `FeatureCache` can also limit its size. Delete the folder to clear it. The
        label maps of a callable are not stored, since its code may change.
    verbose : int, default=0
        If positive, show a progress bar.

    Warns
    -----
    SuperpixelWarning
        If images have fewer pixels than ``n_segments``.

    References
    ----------
    Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel
    methods", PAMI 2012.

    Examples
    --------
    >>> from sklearn_zoomout import SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=100).fit_transform(images)
    >>> len(superpixels)
    2
    >>> superpixels[0].segments.shape == images[0].shape[:2]
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_segments": [Interval(Integral, 1, None, closed="left")],
        "compactness": [Interval(Real, 0, 1e6, closed="right")],
        "method": [StrOptions({"slic"}), callable],
        "n_jobs": [Integral, None],
        "memory": [str, os.PathLike, FeatureCache, None],
        "verbose": ["verbose"],
    }
    # Raise this number when the label maps change, so that stored maps of older
    # versions are not used.
    cache_version = 1

    def __init__(
        self,
        n_segments: int = 500,
        compactness: float = 15.0,
        *,
        method: "str | Callable[[NDArray[np.float32]], NDArray[Any]]" = "slic",
        n_jobs: int | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_segments = n_segments
        self.compactness = compactness
        self.method = method
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose

    def fit(self, images: Sequence[Any], masks: Sequence[Any] | None = None) -> Self:
        """Check the parameters, the images and the masks. Nothing is learned.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width, 3)
            uint8, or floating point in 0..1.
        masks : sequence of array-like of int of shape (height, width), default=None
            Class labels. Unlabeled pixels are -1.

        Returns
        -------
        self : SuperpixelSegmenter
        """
        self._check(images, masks)
        return self

    def fit_transform(
        self, images: Sequence[Any], masks: Sequence[Any] | None = None
    ) -> Superpixels:
        """Check images and masks, then cut the images into superpixels.

        As the first step of a pipeline, this method reads every image and every mask
        once. If one of them is not valid, it raises an error before it cuts the first
        image. Later steps of the pipeline use the masks that were read here.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width, 3)
            uint8, or floating point in 0..1.
        masks : sequence of array-like of int of shape (height, width), default=None
            Class labels. Unlabeled pixels are -1.

        Returns
        -------
        superpixels : Superpixels
            A `SegmentedImage` for each image.
        """
        images, checked = self._check(images, masks)
        superpixels = self._cut(images)
        if checked is not None:
            superpixels._checked_masks = CheckedMasks(masks, checked)
        return superpixels

    def transform(self, images: Sequence[Any]) -> Superpixels:
        """Cut images into superpixels.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width, 3)
            uint8, or floating point in 0..1.

        Returns
        -------
        superpixels : Superpixels
            A `SegmentedImage` for each image.
        """
        return self._cut(self._check(images)[0])

    def _check(
        self, images: Any, masks: Any = None
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]] | None]:
        """Check the parameters, and read and check images and masks."""
        validate_params(self)
        open_cache(self.memory)
        images = check_images(images)
        if masks is None:
            return images, None
        return images, list(iter_training_masks(masks, images))

    def _cut(self, images: list[NDArray[Any]]) -> Superpixels:
        cache = open_cache(self.memory)
        if not callable(self.method):
            self._warn_of_few_pixels(images)
        parameters = {"n_segments": self.n_segments, "compactness": self.compactness}
        state = digest_state(self, parameters)
        segment = delayed(self._segment)
        parallel = Parallel(self.n_jobs, prefer="threads", return_as="generator")
        results = parallel(
            segment(image, i, cache, state) for i, image in enumerate(images)
        )
        bar = tqdm(
            results, "superpixels", len(images), disable=not self.verbose, unit="image"
        )
        # Worker processes return only label maps. The images are those of this process.
        pairs = zip(images, bar, strict=True)
        return Superpixels(SegmentedImage(*pair) for pair in pairs)

    def _segment(
        self, image: NDArray[Any], index: int, cache: FeatureCache | None, state: str
    ) -> NDArray[Any]:
        if callable(self.method):
            return self._call_method(image, index)
        return self._recall_or_slic(image, cache, state)

    def _warn_of_few_pixels(self, images: list[NDArray[Any]]) -> None:
        n_pixels = [image.shape[0] * image.shape[1] for image in images]
        small = [i for i, number in enumerate(n_pixels) if number < self.n_segments]
        if small:
            warnings.warn(
                f"images{small}: fewer than {self.n_segments} superpixels, since there "
                f"are only {min(n_pixels)} pixels; use fewer n_segments.",
                SuperpixelWarning,
                stacklevel=4,
            )

    def _recall_or_slic(
        self, image: NDArray[Any], cache: FeatureCache | None, state: str
    ) -> NDArray[Any]:
        if cache is None:
            return self._slic(image)
        key = entry_key(state, digest_array(image))
        segments = cache.get(key)
        if segments is None:
            segments = self._slic(image)
            cache.put(key, segments.astype(np.min_scalar_type(segments.max())))
        return segments

    def _slic(self, image: NDArray[Any]) -> NDArray[Any]:
        n_segments = min(self.n_segments, image.shape[0] * image.shape[1])
        return slic(rgb_to_lab(image), n_segments, self.compactness)

    def _call_method(self, image: NDArray[Any], index: int) -> NDArray[Any]:
        segments = np.asarray(self.method(as_float(image)))  # type: ignore[operator]
        if segments.shape != image.shape[:2] or segments.dtype.kind not in "iu":
            raise ValueError(
                f"images[{index}]: expected `method` to return an integer label map "
                f"of shape {image.shape[:2]}, got dtype {segments.dtype} and shape "
                f"{segments.shape}."
            )
        return segments

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the name of the output, which scikit-learn's pipelines need.

        Parameters
        ----------
        input_features : ignored
            Only for compatibility with scikit-learn.

        Returns
        -------
        ndarray of str objects of shape (1,)
        """
        return np.array(["superpixels"], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        # Nothing is learned from data.
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags
