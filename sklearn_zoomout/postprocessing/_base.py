"""The base of the clean-up steps: out-of-fold probabilities, and label maps."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import HasMethods

from .._utils.before_fit import check_labels_before_fit, check_params_before_fit
from .._utils.fitting import fresh_fit
from .._utils.params import validate_params
from ..classifier import SuperpixelClassifier
from ..exceptions import (
    AbsentClassWarning,
    MaskWarning,
    SoftEdgeWarning,
    UnlabeledWarning,
)
from ..labels import count_votes, encode_labels
from ..masks import distinct_labels
from ..masks._present import PresentLabels, refuse_missing
from ..superpixels import SegmentedImage
from ..table import FeatureTable, check_table

#: An image, its superpixels' probabilities, and their numbers of pixels of each class.
LabeledImage = tuple[SegmentedImage, NDArray[np.float32], NDArray[np.int64]]


class Postprocessor(SuperpixelClassifier):
    """Change the class probabilities of superpixels that another estimator predicts.

    The changes are learned from out-of-fold predictions, because predictions for
    training images are better than those for new images. Subclasses implement `_learn`
    and `_change`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit"])],
        "cv": ["cv_object"],
    }

    estimator: Any
    cv: Any

    def _check_params(self) -> None:
        """Check the parameters beyond their declared constraints."""
        check_estimator(self.estimator, type(self).__name__)
        if isinstance(self.cv, Iterator):
            raise ValueError(
                f"cv: expected folds that can be iterated over several times, got "
                f"{self.cv!r}; pass a list of folds."
            )

    def _check_params_before_fit(self) -> None:
        validate_params(self)
        self._check_params()
        check_params_before_fit(self.estimator)

    def _check_labels_before_fit(self, labels: PresentLabels | None) -> None:
        if labels is None:
            refuse_missing()
        elif hasattr(self.cv, "split"):  # it may draw folds, which `fit` is to draw
            self._refuse_few(int(labels.labeled.sum()))
        else:
            self._split(labels.labeled)
        check_labels_before_fit(self.estimator, labels)

    @abstractmethod
    def _learn(self, images: list[LabeledImage], n_classes: int) -> dict[str, Any]:
        """Learn from out-of-fold probabilities; return the fitted attributes."""

    @abstractmethod
    def _change(
        self, segmented: SegmentedImage, proba: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the changed probabilities of an image, (n_segments, n_classes)."""

    def fit(self, X: Any, y: Sequence[ArrayLike]) -> Self:
        """Fit the estimator, and learn from its out-of-fold predictions.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels of n_images images.
        y : sequence of array-like of integers of shape (height, width)
            The masks, a label map for every image.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If fewer than two images have labels, the folds do not hold out every image
            once, or the estimator cannot be fitted to all images or to a fold.
        """
        with fresh_fit(self):
            validate_params(self)
            self._check_params()
            table = check_table(X)
            masks = list(table.superpixels.iter_masks(y))
            labeled = np.array([len(distinct_labels(mask)) > 0 for mask in masks])
            folds = self._split(labeled)
            # The fit to all images comes first, so that errors and warnings about masks
            # appear once and refer to all images.
            estimator = clone(self.estimator)
            fit_inside(estimator, table, masks)
            classes = estimator.classes_
            proba = self._out_of_fold(table, masks, folds, classes)
            codes = [
                encode_labels(mask, classes, f"masks[{i}]")
                for i, mask in enumerate(masks)
            ]
            images = [
                (segmented, image_proba, count_votes(segmented, codes[i], len(classes)))
                for i, (segmented, image_proba) in enumerate(_by_image(table, proba))
                if labeled[i]
            ]
            learned = self._learn(images, len(classes))
            self.__dict__.update(attributes_of(estimator) | learned)
        return self

    def _row_probabilities(self, table: FeatureTable) -> NDArray[np.float32]:
        proba = self.estimator_.predict_superpixel_proba(table)
        return np.concatenate(
            [self._change(*image) for image in _by_image(table, proba)]
        )

    def _split(
        self, labeled: NDArray[np.bool_]
    ) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Split the images that have a label into folds."""
        images = np.flatnonzero(labeled)
        self._refuse_few(len(images))
        cv = self.cv
        if cv is None or isinstance(cv, Integral):
            cv = KFold(min(cv or 5, len(images)))
        if hasattr(cv, "split"):
            expected = images
            splits = [(images[train], images[test]) for train, test in cv.split(images)]
        else:
            expected = np.arange(len(labeled))
            splits = [(np.array(train, int), np.array(test, int)) for train, test in cv]
        if sorted(i for _, test in splits for i in test) != expected.tolist():
            raise ValueError(
                f"cv: expected folds that hold out each of the {len(expected)} images "
                f"once, as KFold does, got {self.cv!r}."
            )
        folds = [(train[labeled[train]], test[labeled[test]]) for train, test in splits]
        return [(train, test) for train, test in folds if len(test)]

    def _refuse_few(self, n_images: int) -> None:
        if n_images < 2:
            raise ValueError(
                f"{type(self).__name__}: expected at least two images with labels, so "
                "that an estimator trained on other images can predict each of them, "
                f"got {n_images}; label more, or use the estimator without clean-up."
            )

    def _out_of_fold(
        self,
        table: FeatureTable,
        masks: list[NDArray[Any]],
        folds: list[tuple[NDArray[Any], NDArray[Any]]],
        classes: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Predict each image by an estimator that was not trained on it."""
        proba = np.zeros((table.n_rows, len(classes)), dtype=np.float32)
        for k, (train, test) in enumerate(folds, 1):
            fold = clone_with_classes(self.estimator, classes)
            try:
                with warnings.catch_warnings():
                    # The fit to all images has warned of classes and masks already.
                    warnings.simplefilter("ignore", AbsentClassWarning)
                    warnings.simplefilter("ignore", MaskWarning)
                    fold.fit(table[train], [masks[i] for i in train])
            except ValueError as error:
                raise ValueError(
                    f"cv: fold {k} of {len(folds)}, trained without images "
                    f"{test.tolist()}: {error} Use other folds, such as "
                    "KFold(3, shuffle=True), or more images."
                ) from error
            rows = np.flatnonzero(np.isin(table.image_of_row, test))
            # A class that is absent from the fold has probability 0.
            columns = np.searchsorted(classes, fold.classes_)
            predicted = fold.predict_superpixel_proba(table[np.sort(test)])
            proba[np.ix_(rows, columns)] = predicted
        return proba


def attributes_of(estimator: Any) -> dict[str, Any]:
    """Return the attributes that an estimator around a fitted estimator has."""
    return {
        "estimator_": estimator,
        "classes_": estimator.classes_,
        "n_features_in_": estimator.n_features_in_,
        "feature_names_in_": estimator.feature_names_in_,
        "mean_": getattr(estimator, "mean_", None),
    }


def fit_inside(
    estimator: Any, table: FeatureTable, masks: Sequence[Any], *, pixels: bool = False
) -> None:
    """Fit an estimator, without warnings of masks that were read and checked before.

    Parameters
    ----------
    estimator : estimator
        The estimator inside another one. It is changed.
    table : FeatureTable
        The features of the superpixels.
    masks : sequence of ndarray of integers of shape (height, width)
        The masks, as `Superpixels.iter_masks` returned them or changed.
    pixels : bool, default=False
        Whether pixels are learned too, so that no class is lost with its superpixels.
    """
    known = MaskWarning if pixels else UnlabeledWarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", known)
        warnings.simplefilter("ignore", SoftEdgeWarning)
        estimator.fit(table, masks)


def check_estimator(estimator: Any, wrapper: str) -> None:
    """Refuse an estimator whose superpixels cannot be changed by another estimator.

    Parameters
    ----------
    estimator : estimator
        The estimator inside.
    wrapper : str
        The class around it, for the error.

    Raises
    ------
    ValueError
        If it has no ``predict_superpixel_proba``, or labels single pixels.
    """
    name = type(estimator).__name__
    if not hasattr(estimator, "predict_superpixel_proba"):
        hint = ""
        if isinstance(estimator, Pipeline):
            hint = "; wrap the last step of the pipeline, not the pipeline"
        elif hasattr(estimator, "estimator"):
            inner = type(estimator.estimator).__name__
            hint = f" around {inner}, which has no predict_proba"
        raise ValueError(
            "estimator: expected an estimator with predict_superpixel_proba, such "
            f"as ZoomoutClassifier, got {name}{hint}."
        )
    if getattr(estimator, "_labels_pixels", False):
        raise ValueError(
            f"estimator: expected an estimator that labels superpixels, got {name}, "
            f"which labels pixels; put it outside, as PixelFusion({wrapper}(...))."
        )


def check_candidates(name: str, values: Any, bound: str) -> None:
    """Raise an error unless the values are finite numbers that are > 0 or >= 0.

    Parameters
    ----------
    name : str
        The name of the parameter in the error.
    values : object
        What to check.
    bound : {"> 0", ">= 0"}
        What holds for all values.

    Raises
    ------
    ValueError
        If they are anything else.
    """
    try:
        numbers = np.asarray(values)
    except ValueError:  # lists of unequal lengths
        numbers = np.array(None)
    good = numbers.ndim == 1 and numbers.size > 0 and numbers.dtype.kind in "iuf"
    if good:
        above = numbers > 0 if bound == "> 0" else numbers >= 0
        good = bool((above & np.isfinite(numbers)).all())
    if not good:
        raise ValueError(
            f"{name}: expected a list of finite numbers {bound}, got {values!r}."
        )


def clone_with_classes(estimator: Any, classes: NDArray[np.int64]) -> Any:
    """Clone an estimator and set its classes, since a fold may lack some of them."""
    copy = clone(estimator)
    inner = copy
    while isinstance(inner, Postprocessor):
        inner = inner.estimator
    if "classes" in inner.get_params(deep=False):
        inner.set_params(classes=classes)
    return copy


def _by_image(
    table: FeatureTable, proba: NDArray[np.float32]
) -> Iterator[tuple[SegmentedImage, NDArray[np.float32]]]:
    """Yield the superpixels of every image and their probabilities."""
    parts = np.split(proba, table.row_offsets[1:-1])
    return zip(table.superpixels, parts, strict=True)


def mean_colors(segmented: SegmentedImage) -> NDArray[np.float64]:
    """Return the mean L*a*b* color of each superpixel, of shape (n_segments, 3).

    Of n bands, it is the mean lightness of each, divided by the square root of n, so
    that distances of equal bands are those of one gray image.
    """
    segments, n_bands = segmented.segments.ravel(), segmented.n_bands
    colors = segmented.colors
    channels = colors.reshape(-1, colors.shape[2]).T
    if n_bands is not None:
        channels = channels / np.float32(n_bands**0.5)
    sums = [
        np.bincount(segments, channel, segmented.n_segments) for channel in channels
    ]
    return np.stack(sums, axis=1) / segmented.areas[:, None]
