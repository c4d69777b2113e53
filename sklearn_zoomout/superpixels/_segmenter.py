"""`SuperpixelSegmenter`: from images to superpixels (section 4.1)."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._utils.digests import digest_array, digest_state
from .._utils.fitting import fresh_fit
from .._utils.parallel import run_in_turn
from .._utils.params import validate_params
from .._utils.progress import show_progress
from ..cache import FeatureCache, OpenCache, entry_key, open_cache
from ..masks._present import PresentLabels, refuse_unlabeled
from ._one_image import call_method, slic_image
from ._reading import CHANNELS, ReadImage, Reading, check_masks_of
from ._scale import superpixel_areas, warn_of_another_scale, warn_of_few_pixels
from ._segmented_image import SegmentedImage
from ._sequence import CheckedMasks, Superpixels
from ._value_range import check_value_range


class SuperpixelSegmenter(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Cut images into superpixels.

    Parameters
    ----------
    n_segments : int, default=500
        Approximate number of superpixels per image, whatever its size. It suits
        photographs, which show a scene in few or in many pixels.
    compactness : float, default=15.0
        SLIC's weight of distances in space compared with distances in color. Larger
        values make superpixels more like squares.
    segment_area : float or None, default=None
        Approximate number of pixels per superpixel, whatever the size of the image, in
        place of ``n_segments``. It suits microscopes, scanners and aerial images, where
        a pixel has a size. SLIC begins with squares of whole pixels.
    method : "slic" or callable, default="slic"
        "slic" is `sklearn_zoomout.superpixels.slic`. The argument of a callable is the
        image as float32 of shape (height, width, n_channels) in 0..1. It returns an
        integer label map of shape (height, width). The parameters above have no effect
        on it.
    channels : {"auto", "bands", "rgba"}, default="auto"
        What the channels are. With "auto", one is gray, three are red, green and blue,
        four are refused, and other numbers are bands. With "bands", three and four are
        bands too. With "rgba", the fourth is alpha: pixels where it is 0 have no data.
        A gray image counts as the same image in RGB.
    value_range : None, (low, high), array-like of (n_channels, 2) or "learn"
        The values that become 0 and 1, of all channels or of each. Others are clipped.
        None is 0..255 of uint8 and 0..1 of floating point, and refuses other types.
        With "learn", `fit` takes the quantiles 0.1 % and 99.9 % of each channel over
        all its images together.
    nodata : float or None, default=None
        Pixels all of whose channels have this value have no data; with NaN, pixels that
        have a NaN in any channel. Nothing is learned from their labels, and they are
        labeled -1.
    n_jobs : int or None, default=None
        Number of images to segment at once, in threads; see `joblib.Parallel`.
    memory : str, path, FeatureCache or None, default=None
        A folder that stores the label maps, so that each image is segmented only once.
        A `FeatureCache` can also limit its size. Delete the folder to clear it. The
        label maps of a callable are not stored, since its code may change.
    verbose : int, default=0
        If positive, show a progress bar.

    Attributes
    ----------
    segment_area_ : float
        Pixels per superpixel in the images of `fit`, the median.
    segment_areas_ : tuple of 2 float
        The smallest and the largest.
    n_images_ : int
        Number of images of `fit`.
    largest_image_ : int
        Pixels of the largest image of `fit`.
    n_channels_ : int
        The number of channels of the images of `fit`, 3 of gray ones.
    value_range_ : ndarray of float64 of shape (n_channels, 2) or (1, 2), or None
        The range of each channel, or of all.

    Raises
    ------
    ValueError
        If an image cannot be read as these parameters say, or has other channels than
        those of `fit`.
    NotFittedError
        If `transform` comes before `fit` and ``value_range="learn"``.

    Warns
    -----
    BlackImageWarning
        If images are almost black.
    ClippedImageWarning
        If most values of an image are outside of ``value_range``.
    SuperpixelWarning
        If images have fewer pixels than ``n_segments``.
    ScaleWarning
        If superpixels have less than half or more than twice the pixels that those of
        `fit` have. It is given only with ``n_segments``.

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
        "segment_area": [Interval(Real, 1, None, closed="left"), None],
        "method": [StrOptions({"slic"}), callable],
        "channels": [StrOptions(set(CHANNELS))],
        "value_range": ["array-like", StrOptions({"learn"}), None],
        "nodata": [Real, None],
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
        segment_area: float | None = None,
        method: "str | Callable[[NDArray[np.float32]], NDArray[Any]]" = "slic",
        channels: str = "auto",
        value_range: Any = None,
        nodata: float | None = None,
        n_jobs: int | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_segments = n_segments
        self.compactness = compactness
        self.segment_area = segment_area
        self.method = method
        self.channels = channels
        self.value_range = value_range
        self.nodata = nodata
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose

    def fit(self, images: Sequence[Any], masks: Sequence[Any] | None = None) -> Self:
        """Check the parameters, the images and the masks; learn scale and ranges.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width[, n_channels])
            Their values are read as the parameters say; by default uint8, or floating
            point in 0..1.
        masks : sequence of array-like of int of shape (height, width), default=None
            Class labels. Unlabeled pixels are -1.

        Returns
        -------
        self : SuperpixelSegmenter
        """
        with self._fitting():
            self._check(images, masks, learn=True)
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
        images : sequence of array-like of shape (height, width[, n_channels])
            Their values are read as the parameters say; by default uint8, or floating
            point in 0..1.
        masks : sequence of array-like of int of shape (height, width), default=None
            Class labels. Unlabeled pixels are -1.

        Returns
        -------
        superpixels : Superpixels
            A `SegmentedImage` for each image.
        """
        with self._fitting():
            read, checked = self._check(images, masks, learn=True)
            superpixels = self.cut(read)
        if checked is not None:
            superpixels._checked_masks = CheckedMasks(masks, checked)
        return superpixels

    def transform(self, images: Sequence[Any]) -> Superpixels:
        """Cut images into superpixels.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width[, n_channels])
            Their values are read as the parameters say; by default uint8, or floating
            point in 0..1.

        Returns
        -------
        superpixels : Superpixels
            A `SegmentedImage` for each image.
        """
        check_is_fitted(self)
        read, _ = self._check(images)
        warn_of_another_scale(self, read)
        return self.cut(read)

    def reading(self) -> Reading:
        """Return how this segmenter reads images.

        Returns
        -------
        Reading

        Raises
        ------
        NotFittedError
            If ``value_range="learn"`` and `fit` was not called.
        """
        value_range: Any = self.value_range
        if isinstance(value_range, str):
            check_is_fitted(self, "value_range_")
            value_range = self.value_range_
        if value_range is not None:
            value_range = check_value_range(value_range)
        n_channels = getattr(self, "n_channels_", None)
        return Reading(self.channels, value_range, self.nodata, n_channels)

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Remember whether a fit has failed, since other fits are not needed."""
        self._failed = True
        with fresh_fit(self):
            yield
        del self._failed

    def _check(
        self, images: Any, masks: Any = None, learn: bool = False
    ) -> tuple[list[ReadImage], list[NDArray[Any]] | None]:
        """Check the parameters, and read and check images and masks."""
        self._check_params_before_fit()
        if learn:
            learned, read = self._learn(images)
        else:
            learned, read = None, self.reading().read(images)
        checked = None if masks is None else check_masks_of(read, masks)
        if learned is not None:
            self._tell_labels(read, checked)
            areas = superpixel_areas(read, self.n_segments, self.segment_area)
            self.segment_area_ = float(np.median(areas))
            self.segment_areas_ = (min(areas), max(areas))
            self.n_images_ = len(read)
            self.largest_image_ = max(image.n_pixels for image in read)
            self.n_channels_ = learned.n_channels
            known = learned.value_range
            self.value_range_ = None if known is None else np.array(known)
        return read, checked

    def _check_params_before_fit(self) -> None:
        validate_params(self)
        open_cache(self.memory)

    def _tell_labels(
        self, read: list[ReadImage], checked: list[NDArray[Any]] | None
    ) -> None:
        """Refuse masks without a label, and let the pipeline refuse others."""
        labels = None
        if checked is not None:
            labels = PresentLabels.find(checked, [image.valid for image in read])
            refuse_unlabeled(labels.of_masks)
        tell = self.__dict__.pop("_on_labels", None)
        if tell is not None:
            tell(labels)

    def _learn(self, images: Any) -> tuple[Reading, list[ReadImage]]:
        if isinstance(self.value_range, str):
            return Reading(self.channels, None, self.nodata).learn_range(images)
        return self.reading().learn(images)

    def cut(self, read: list[ReadImage]) -> Superpixels:
        """Cut images into superpixels that have been read as `reading` says.

        Parameters
        ----------
        read : list of ReadImage
            The images.

        Returns
        -------
        superpixels : Superpixels
            A `SegmentedImage` for each image.
        """
        images = [image.image for image in read]
        cache = open_cache(self.memory)
        if not callable(self.method) and self.segment_area is None:
            warn_of_few_pixels(images, self.n_segments)
        parameters: dict[str, Any] = {"compactness": self.compactness}
        if self.cell_side is None:
            parameters["n_segments"] = self.n_segments
        else:
            parameters["cell"] = self.cell_side
        if read[0].bands:
            parameters["bands"] = True
        state = digest_state(self, parameters)
        segment = delayed(self._segment)
        tasks = (segment(image, i, cache, state) for i, image in enumerate(read))
        results = run_in_turn(tasks, self.n_jobs)
        n, quiet = len(images), not self.verbose
        shown = show_progress(results, "superpixels", n, quiet=quiet, unit="image")
        # Worker processes return only label maps. The images are those of this process.
        return Superpixels(
            SegmentedImage(one.image, segments, one.valid, bands=one.bands)
            for one, segments in zip(read, shown, strict=True)
        )

    def _segment(
        self, read: ReadImage, index: int, cache: OpenCache | None, state: str
    ) -> NDArray[Any]:
        if callable(self.method):
            return call_method(self.method, read.image, index)
        return self._recall_or_slic(read, cache, state)

    def _recall_or_slic(
        self, read: ReadImage, cache: OpenCache | None, state: str
    ) -> NDArray[Any]:
        if cache is None:
            return self._slic(read)
        key = entry_key(state, digest_array(read.image))
        segments = cache.get(key, read.image.shape[:2], np.unsignedinteger)
        if segments is None:
            segments = self._slic(read)
            cache.put(key, segments.astype(np.min_scalar_type(segments.max())))
        return segments

    def _slic(self, read: ReadImage) -> NDArray[Any]:
        return slic_image(read, self.n_segments, self.compactness, self.cell_side)

    @property
    def cell_side(self) -> int | None:
        """Side in pixels of the squares that SLIC begins with, with `segment_area`."""
        area = self.segment_area
        return None if area is None else max(round(area**0.5), 1)

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
        return not self._needs_fit or hasattr(self, "value_range_")

    @property
    def _needs_fit(self) -> bool:
        # Nothing else than ranges has to be learned from data. But after a fit that
        # failed, the later steps of a pipeline are still those of an earlier one.
        return isinstance(self.value_range, str) or hasattr(self, "_failed")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self._needs_fit
        tags.input_tags.two_d_array = False
        return tags
