"""The base of all classifiers of superpixels: from probabilities to label maps."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..labels import check_known_labels
from ..masks import in_small_type
from ..metrics import mean_iou
from ..table import FeatureTable, check_table
from ._standardization import check_columns


def _if_probabilities(classifier: "SuperpixelClassifier") -> bool:
    return classifier._has_probabilities()


# This is no ClassifierMixin, since scikit-learn would stratify its folds by the masks.
class SuperpixelClassifier(BaseEstimator, metaclass=ABCMeta):
    """Base of estimators that label the superpixels of a `FeatureTable`.

    Subclasses compute the class probabilities of superpixels. This class checks the
    table and turns the probabilities into label maps.

    Attributes
    ----------
    classes_ : ndarray of int64 of shape (n_classes,)
        The labels, in ascending order.
    feature_names_in_ : ndarray of str objects of shape (n_features_in_,)
        Names of the columns of fit.
    """

    # Raised when fitted attributes come to predict something else, so that load_model
    # warns of older files.
    cache_version: ClassVar[int] = 1
    classes_: NDArray[np.int64]
    feature_names_in_: Any

    @abstractmethod
    def _row_probabilities(self, table: FeatureTable) -> NDArray[np.float32]:
        """Compute the class probabilities of all rows, (n_rows, n_classes)."""

    def _row_codes(self, table: FeatureTable) -> NDArray[np.intp]:
        """Return the position of each row's label in `classes_`."""
        return self._row_probabilities(table).argmax(axis=1)

    def _has_probabilities(self) -> bool:
        return True

    def predict(self, X: Any) -> NDArray[np.object_]:
        """Label every pixel.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels, with the columns of fit.

        Returns
        -------
        ndarray of object of shape (n_images,)
            A label map of shape (height, width) for every image: uint8 if no label is
            above 255, else uint16 or int64. Where an image has pixels without data they
            are -1, of a signed type.
        """
        table = self._check_fitted_table(X)
        labels = in_small_type(self.classes_)
        return _paint(table, labels[self._row_codes(table)])

    @available_if(_if_probabilities)
    def predict_proba(self, X: Any) -> NDArray[np.object_]:
        """Predict the class probabilities of every pixel.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels, with the columns of fit.

        Returns
        -------
        ndarray of object of shape (n_images,)
            An array, float32 of shape (height, width, n_classes), for every image.
            Pixels without data are NaN.
        """
        table = self._check_fitted_table(X)
        return _paint(table, self._row_probabilities(table))

    @available_if(_if_probabilities)
    def predict_superpixel_proba(self, X: Any) -> NDArray[np.float32]:
        """Predict the class probabilities of every superpixel.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels, with the columns of fit.

        Returns
        -------
        ndarray of float32 of shape (n_rows, n_classes)
            The superpixels of all images. Image i has the rows ``X.row_offsets[i]`` up
            to ``X.row_offsets[i + 1]``.
        """
        return self._row_probabilities(self._check_fitted_table(X))

    def score(
        self, X: Any, y: Sequence[ArrayLike], sample_weight: None = None
    ) -> float:
        """Compute the mean IoU of the predictions.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels, with the columns of fit.
        y : sequence of array-like of integers of shape (height, width)
            The masks, true label maps.
        sample_weight : None
            Only for pipelines of scikit-learn with metadata routing, which pass it.

        Returns
        -------
        float
            See `sklearn_zoomout.metrics.mean_iou`.

        Raises
        ------
        ValueError
            If a mask does not fit its image, or has a label that is not in
            ``classes_``, or ``sample_weight`` is not None.
        """
        if sample_weight is not None:
            raise ValueError(
                "sample_weight: expected None, since masks have no weights, got "
                f"{type(sample_weight).__name__}; turn pixels that are not to count "
                "into -1."
            )
        table = self._check_fitted_table(X)
        masks = list(table.superpixels.iter_masks(y, to_learn=False))
        check_known_labels(masks, self.classes_)
        return mean_iou(masks, self.predict(table))

    def _check_fitted_table(self, X: Any) -> FeatureTable:
        check_is_fitted(self, "classes_")
        table = check_table(X)
        check_columns(table, self.feature_names_in_)
        return table

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


def _paint(table: FeatureTable, values: NDArray[Any]) -> NDArray[np.object_]:
    """Set every pixel to the value of its superpixel.

    Parameters
    ----------
    table : FeatureTable
        The features of the superpixels.
    values : ndarray of shape (n_rows, ...)
        A value, or an array of them, for every row.

    Returns
    -------
    ndarray of object of shape (n_images,)
        An array of shape (height, width, ...) for every image.
    """
    maps = np.empty(len(table), dtype=object)
    for i, segmented in enumerate(table.superpixels):
        start, stop = table.row_offsets[i : i + 2]
        maps[i] = segmented.mark_nodata(values[start:stop][segmented.segments])
    return maps
