"""The base of all feature transformers."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._utils.digests import digest_state
from .._utils.fitting import fresh_fit
from .._utils.parallel import run_in_turn
from .._utils.params import validate_params
from .._utils.progress import show_progress
from ..cache import OpenCache, entry_key, open_cache
from ..superpixels import SegmentedImage, Superpixels, check_superpixels
from ..table import Block, FeatureTable

# Attributes that scikit-learn itself sets; its callbacks are new in 1.9.
_OF_SKLEARN = {
    *("_metadata_request", "_sklearn_output_config", "_skl_callbacks"),
    *("_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx"),
}


class RowCollector:
    """Collect the rows of all images, and make a table of them.

    Parameters
    ----------
    features : RegionFeatures
        The transformer, fitted.
    superpixels : Superpixels
        The images.
    name : str, default=None
        Name of the block of columns; by default that of the transformer.
    """

    def __init__(
        self,
        features: "RegionFeatures",
        superpixels: Superpixels,
        name: str | None = None,
    ) -> None:
        self.features, self.superpixels = features, superpixels
        self.name = features.block_name if name is None else name
        self.columns = tuple(features.column_names())
        # The superpixels of a window of a larger image do not share one row.
        self.per_image = features.per_image and not superpixels.are_windows
        n_rows = len(superpixels) if self.per_image else superpixels.n_rows
        self.values = np.empty((n_rows, len(self.columns)), dtype=np.float32)

    def put(self, i: int, rows: NDArray[Any]) -> None:
        """Keep the rows of image ``i``."""
        start, stop = self.superpixels.row_offsets[i : i + 2]
        where = i if self.per_image else slice(start, stop)
        if np.shape(rows) != self.values[where].shape:
            raise ValueError(
                f"images[{i}]: expected {type(self.features).__name__}.describe to "
                f"return shape {self.values[where].shape}, got {np.shape(rows)}."
            )
        self.values[where] = rows

    def table(self) -> FeatureTable:
        """Make a table of one block, of the rows of all images."""
        block = Block(self.name, self.columns, self.values, self.per_image)
        return FeatureTable(self.superpixels, [block])


class RegionFeatures(TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of transformers that describe every superpixel of an image.

    To add features of your own to a `sklearn.pipeline.FeatureUnion`, write a
    subclass with `block_name`, `describe` and `column_names`, and with `learn` if
    something is fitted. Parameters ``n_jobs``, ``verbose`` and ``memory`` are honored
    if the subclass has them.

    Attributes
    ----------
    per_image : bool
        Class attribute. True if all superpixels of an image share one row, which
        is then stored once.
    cache_version : int or None
        Class attribute. With ``memory`` (see `FeatureCache`) the rows of an image are
        kept, and recalled by a transformer of the same class, parameters and fitted
        attributes. Changes of your code cannot be seen: set this number in the class
        itself, and raise it when `describe`, or what it calls, changes.
    n_features_out_ : int
        Number of columns, set by `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import RegionFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> class MeanColor(RegionFeatures):
    ...     block_name = "mean"
    ...     def describe(self, segmented):
    ...         labels, areas = segmented.segments.ravel(), segmented.areas
    ...         channels = segmented.rgb.reshape(-1, 3).T
    ...         sums = [np.bincount(labels, weights=channel) for channel in channels]
    ...         return (sums / areas).T
    ...     def column_names(self):
    ...         return ["red", "green", "blue"]
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> MeanColor().fit_transform(superpixels).columns
    ['mean__red', 'mean__green', 'mean__blue']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}
    per_image: ClassVar[bool] = False
    cache_version: ClassVar[int | None] = None
    # Parameters and attributes that `describe` does not depend on, or only through
    # other attributes.
    _not_in_key: ClassVar[set[str]] = {"memory", "n_jobs", "verbose"}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # A FeatureTable stays one when scikit-learn is set to return pandas.
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    @property
    @abstractmethod
    def block_name(self) -> str:
        """Name of the block of columns."""

    @abstractmethod
    def describe(self, segmented: SegmentedImage) -> NDArray[Any]:
        """Describe one image.

        Returns
        -------
        ndarray of shape (n_segments, n_columns), or (n_columns,) if `per_image`
        """

    @abstractmethod
    def column_names(self) -> list[str]:
        """Names of the columns, without the name of the block."""

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:  # noqa: B027
        """Fit what has to be fitted; nothing by default."""

    def fit(self, superpixels: Superpixels, masks: Any = None) -> Self:
        """Learn what the description needs from the training images.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of ndarray, optional
            Their labels; ignored by most features.

        Returns
        -------
        self
        """
        with fresh_fit(self):
            superpixels = self._check_to_fit(superpixels)
            self.learn(superpixels, masks)
            self.n_features_out_ = len(self.column_names())
        return self

    def fit_transform(
        self, superpixels: Superpixels, masks: Any = None
    ) -> FeatureTable:
        """Fit, and describe the training images.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of ndarray, optional
            Their labels.

        Returns
        -------
        FeatureTable
            One block of ``n_features_out_`` columns.
        """
        with fresh_fit(self):
            return self.fit(superpixels, masks).transform(superpixels)

    def _check_params_before_fit(self) -> None:
        validate_params(self)
        RegionFeatures._open_cache(self)

    def _check_to_fit(self, superpixels: Any) -> Superpixels:
        validate_params(self)
        self._open_cache()
        superpixels = check_superpixels(superpixels)
        if len(superpixels) == 0:
            raise ValueError("superpixels: expected at least one image, got none.")
        return superpixels

    def transform(self, superpixels: Superpixels) -> FeatureTable:
        """Describe the superpixels of every image.

        Parameters
        ----------
        superpixels : Superpixels

        Returns
        -------
        FeatureTable
            One block of ``n_features_out_`` columns.
        """
        check_is_fitted(self)
        superpixels = check_superpixels(superpixels)
        return self._tabulate(superpixels, self.recall_or_describe(superpixels))

    def _tabulate(
        self, superpixels: Superpixels, described: Iterable[NDArray[Any]]
    ) -> FeatureTable:
        """Collect the rows of every image."""
        rows = RowCollector(self, superpixels)
        for i, rows_of_image in enumerate(described):
            rows.put(i, rows_of_image)
        return rows.table()

    def recall_or_describe(self, superpixels: Superpixels) -> Iterator[NDArray[Any]]:
        """Describe the images that are not in the cache, and put them there.

        Parameters
        ----------
        superpixels : Superpixels

        Yields
        ------
        rows : ndarray
            What `describe` returns for each image.
        """
        cache = self._open_cache()
        if cache is None or (self.per_image and superpixels.are_windows):
            yield from self._describe_all(superpixels)
            return
        state = digest_state(self, self._cache_state())
        keys = [entry_key(state, segmented.digest) for segmented in superpixels]
        known = [key in cache for key in keys]
        missing = superpixels[np.flatnonzero(np.logical_not(known))]
        described = self._describe_all(missing)
        for segmented, key, is_known in zip(superpixels, keys, known, strict=True):
            shape = self._shape_of(segmented)
            rows = cache.get(key, shape, np.float32) if is_known else None
            if rows is None:
                # The entry may be damaged, or may have been removed meanwhile.
                rows = self.describe(segmented) if is_known else next(described)
                rows = np.asarray(rows, dtype=np.float32)
                if rows.shape == shape:  # RowCollector refuses others
                    cache.put(key, rows)
            yield rows

    def _shape_of(self, segmented: SegmentedImage) -> tuple[int, ...]:
        shape = (self.n_features_out_,)
        return shape if self.per_image else (segmented.n_segments, *shape)

    def _open_cache(self) -> OpenCache | None:
        cache = open_cache(getattr(self, "memory", None))
        if cache is not None and vars(type(self)).get("cache_version") is None:
            raise ValueError(
                f"memory: {type(self).__name__} has no version of its results; "
                "set its class attribute cache_version = 1, and raise it whenever you "
                "change what describe returns."
            )
        return cache

    def _cache_state(self) -> dict[str, Any]:
        """Return all that `describe` depends on, except the image and the code."""
        state: Any = self.__getstate__()
        ignored = self._not_in_key | _OF_SKLEARN
        return {name: state[name] for name in state.keys() - ignored}

    def _describe_all(self, superpixels: Superpixels) -> Iterator[NDArray[Any]]:
        n_jobs = getattr(self, "n_jobs", None)
        tasks = (delayed(self.describe)(item) for item in superpixels)
        described = run_in_turn(tasks, n_jobs)
        yield from self._progress(described, len(superpixels))

    def _progress(self, items: Any, total: int) -> Any:
        quiet = not getattr(self, "verbose", 0) or total < 2
        name = self.block_name
        return show_progress(items, name, total, quiet=quiet, unit="image")

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's sake.

        Returns
        -------
        ndarray of str objects of shape (n_features_out_,)
        """
        check_is_fitted(self)
        return np.asarray(self.column_names(), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags
