"""`ZoomoutPipeline`: a Pipeline that predicts images larger than those of fit."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._utils.before_fit import check_labels_before_fit, check_params_before_fit
from .._utils.fitting import forget_fit, forget_unless_warm
from ..exceptions import ScaleWarning
from ..masks._present import PresentLabels
from ..metrics import mean_iou_scorer
from ._predict import predict_tiles
from ._scale import is_absolute, is_pipeline_of_images

# An image must have so many times the pixels of the largest image of fit.
_TIMES_FIT = 4


def _transforms(pipeline: Pipeline) -> bool:
    last = pipeline.steps[-1][1]
    is_transformer = hasattr(last, "transform") or hasattr(last, "fit_transform")
    return last in (None, "passthrough") or is_transformer


class ZoomoutPipeline(Pipeline):
    """A `sklearn.pipeline.Pipeline` that predicts large images in tiles.

    An image that has more than ``tile_above`` pixels, and more than four times those of
    the largest image of fit, is taken for a larger field of view, at the scale of fit.
    It is predicted by `tiles.predict_tiles`. Smaller images are taken for the same
    scene in more or fewer pixels, unless the superpixels have a stated area. Only
    images in a list or tuple are looked at, since a sequence of files would be read
    twice.

    Warns
    -----
    ScaleWarning
        If an image is predicted in tiles, and the superpixels have no stated area. It
        might show the same scene in more pixels.

    Parameters
    ----------
    steps, transform_input, memory, verbose
        See `sklearn.pipeline.Pipeline`.
    tile_above : int or None, default=16000000
        Number of pixels above which an image is predicted in tiles. With superpixels of
        a stated area, all images that have more than four times the pixels of the
        largest image of fit are. None predicts every image at once.

    Examples
    --------
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> type(zoomout_pipeline()).__name__
    'ZoomoutPipeline'
    """

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        *,
        transform_input: list[str] | None = None,
        memory: Any = None,
        verbose: bool = False,
        tile_above: int | None = 16_000_000,
    ) -> None:
        options: Any = {"transform_input": transform_input, "memory": memory}
        super().__init__(steps, verbose=verbose, **options)
        self.tile_above = tile_above

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all steps, one after the other.

        If it fails or is interrupted, no step is fitted. An earlier fit is forgotten.

        Parameters
        ----------
        X : sequence of array-like of shape (height, width, n_channels)
            The images.
        y : sequence of array-like of integers of shape (height, width)
            The masks, label maps.
        **params
            See `sklearn.pipeline.Pipeline`.

        Returns
        -------
        self : ZoomoutPipeline
        """
        with self._fitting():
            return super().fit(X, y, **params)

    @available_if(_transforms)
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit all steps as `fit` does, and transform the images of fit.

        Parameters
        ----------
        X : sequence of array-like of shape (height, width, n_channels)
            The images.
        y : sequence of array-like of integers of shape (height, width)
            The masks, label maps.
        **params
            See `sklearn.pipeline.Pipeline`.

        Returns
        -------
        object
            What the last step returns.
        """
        with self._fitting():
            return super().fit_transform(X, y, **params)

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Forget the fits of all steps first, and again if this one fails.

        Else a step that was fitted again would be followed by steps of an earlier fit.
        """
        try:
            forget_unless_warm(self)
            check_params_before_fit(self)
            with self._checking_labels():
                yield
        except BaseException:
            forget_fit(self)
            raise

    @contextmanager
    def _checking_labels(self) -> Iterator[None]:
        """Let all steps check the labels, as soon as the first has read the masks."""
        if not is_pipeline_of_images(self):
            yield
            return
        # A last step without `predict` is only fitted; it may take any masks.
        last = self.steps[-1][1]
        rest = self.steps[1:] if hasattr(last, "predict") else self.steps[1:-1]
        first = self.steps[0][1]

        def check(labels: PresentLabels | None) -> None:
            for _, step in rest:
                check_labels_before_fit(step, labels)

        first._on_labels = check
        try:
            yield
        finally:
            first.__dict__.pop("_on_labels", None)

    def predict(self, X: Any, **params: Any) -> Any:
        """Label every pixel.

        Parameters
        ----------
        X : sequence of array-like of shape (height, width, n_channels)
            The images.
        **params
            See `sklearn.pipeline.Pipeline`.

        Returns
        -------
        ndarray of object of shape (n_images,)
            A label map of shape (height, width) for every image.
        """
        return self._by_size(X, super().predict, False, params)

    def predict_proba(self, X: Any, **params: Any) -> Any:
        """Predict the class probabilities of every pixel.

        Parameters
        ----------
        X : sequence of array-like of shape (height, width, n_channels)
            The images.
        **params
            See `sklearn.pipeline.Pipeline`.

        Returns
        -------
        ndarray of object of shape (n_images,)
            An array, float32 of shape (height, width, n_classes), for every image.
        """
        return self._by_size(X, super().predict_proba, True, params)

    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Compute the mean IoU of the predictions.

        Parameters
        ----------
        X : sequence of array-like of shape (height, width, n_channels)
            The images.
        y : sequence of array-like of integers of shape (height, width)
            The masks, true label maps.
        **params
            See `sklearn.pipeline.Pipeline`.

        Returns
        -------
        float
        """
        if any(self._is_large(image) for image in self._images(X)):
            return float(mean_iou_scorer(self, X, y))
        return float(super().score(X, y, **params))

    def _by_size(
        self, X: Any, predict: Callable[..., Any], proba: bool, params: dict[str, Any]
    ) -> Any:
        """Predict small images together, and each large one in tiles."""
        images = self._images(X)
        large = [i for i, image in enumerate(images) if self._is_large(image)]
        if not large:
            return predict(X, **params)
        check_is_fitted(self)
        maps: NDArray[np.object_] = np.empty(len(images), dtype=object)
        small = [i for i in range(len(images)) if i not in large]
        if small:
            maps[small] = predict([images[i] for i in small], **params)
        if not is_absolute(self):
            self._warn(images, large)
        for i in large:
            maps[i] = predict_tiles(self, images[i], proba=proba)
        return maps

    def _warn(self, images: Any, large: list[int]) -> None:
        """Say what large images are taken for."""
        n_pixels = max(images[i].shape[0] * images[i].shape[1] for i in large)
        of_fit = self.steps[0][1].largest_image_
        warnings.warn(
            f"images{large}: up to {n_pixels / 1e6:.1f} million pixels, "
            f"{n_pixels / of_fit:.0f} times those of the largest image of fit, are "
            "taken for a larger field of view and predicted in tiles, at the scale of "
            "fit. Call tiles.predict_tiles(model, image) to say that this is right. If "
            "they show as much as the images of fit in more pixels, shrink them to "
            "their size.",
            ScaleWarning,
            stacklevel=4,
        )

    def _images(self, X: Any) -> Any:
        """Return images whose shapes are known without reading them, or none."""
        return X if isinstance(X, (list, tuple)) else []

    def _is_large(self, image: Any) -> bool:
        shape: Any = getattr(image, "shape", ())
        if self.tile_above is None or len(shape) < 2 or not is_pipeline_of_images(self):
            return False
        n_pixels = shape[0] * shape[1]
        of_fit = getattr(self.steps[0][1], "largest_image_", None)
        if of_fit is None or n_pixels <= _TIMES_FIT * of_fit:
            return False
        return is_absolute(self) or n_pixels > self.tile_above
