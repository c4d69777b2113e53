"""Classifiers of superpixels with one fault each, and the check that must find it."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from toy_estimators import ToyClassifier, ToyLevel

from sklearn_zoomout import FeatureTable
from sklearn_zoomout.metrics import mean_iou
from sklearn_zoomout.table import check_table


class ForgetsInnerParams(ToyClassifier):
    def get_params(self, deep=True):
        return super().get_params(deep=False)


class IsAClassifier(ClassifierMixin, ToyClassifier):
    pass


class NeedsNoMasks(ToyClassifier):
    def fit(self, X, y):
        if y is None:
            y = [np.zeros(s.shape, int) for s in check_table(X).superpixels]
        return super().fit(X, y)


class ReturnsAList(ToyClassifier):
    def predict(self, X):
        return list(super().predict(X))


class ReadsBlocks(ToyClassifier):
    """Takes the values of the first block for the rows of the table."""

    def fit(self, X, y):
        return super().fit(self._first(X), y)

    def _row_proba(self, X):
        return super()._row_proba(self._first(X))

    def _first(self, X):
        block = check_table(X).blocks[0]
        return FeatureTable(X.superpixels, [block])


class TakesTablesOnly(ToyClassifier):
    def fit(self, X, y):
        if not isinstance(X, FeatureTable):
            raise TypeError("X: expected a FeatureTable.")
        return super().fit(X, y)


class CuresMasks(ToyClassifier):
    """Base of classifiers that take bad masks for good."""

    def cure(self, mask, shape):
        """Return a better mask."""
        return mask

    def cure_all(self, masks, shapes):
        """Return better masks."""
        if masks is None:
            return None
        return [self.cure(*pair) for pair in zip(masks, shapes, strict=False)]

    def _cured(self, X, y):
        return self.cure_all(y, [s.shape for s in check_table(X).superpixels])

    def fit(self, X, y):
        return super().fit(X, self._cured(X, y))

    def score(self, X, y, sample_weight=None):
        return super().score(X, self._cured(X, y))


class FillsUpMasks(CuresMasks):
    def cure_all(self, masks, shapes):
        masks = [*masks, *(np.zeros(shape, int) for shape in shapes[len(masks) :])]
        return masks[: len(shapes)]


class FitsMasksToImages(CuresMasks):
    def cure(self, mask, shape):
        return np.resize(mask, shape)


class FillsNaNOfMasks(CuresMasks):
    def cure(self, mask, shape):
        return np.nan_to_num(mask).astype(int)


class RoundsMasks(CuresMasks):
    def cure(self, mask, shape):
        return np.floor(mask).astype(int)


class TakesTheFirstChannel(CuresMasks):
    def cure(self, mask, shape):
        return np.clip(mask[..., 0], 0, 2) if mask.ndim == 3 else mask


class TakesOneMask(CuresMasks):
    def cure_all(self, masks, shapes):
        if isinstance(masks, np.ndarray) and masks.dtype != object:
            return [np.resize(masks, shape) for shape in shapes]
        return masks


class LearnsNothing(CuresMasks):
    def cure(self, mask, shape):
        return np.zeros(shape, int) if (mask == -1).all() else mask


class IgnoresUnknownLabels(CuresMasks):
    def cure(self, mask, shape):
        return np.where(mask > 2, 0, mask)


class NeedsInt64(CuresMasks):
    def cure(self, mask, shape):
        if mask.dtype != np.int64:
            raise TypeError("masks: expected int64.")
        return mask


class FillsNaNFeatures(ToyClassifier):
    def fit(self, X, y):
        return super().fit(_without_nan(X), y)

    def _row_proba(self, X):
        return super()._row_proba(_without_nan(X))


def _without_nan(X):
    for block in check_table(X).blocks:
        np.nan_to_num(block.values, copy=False)
    return X


class TakesOtherColumns(ToyClassifier):
    def _row_proba(self, X):
        table = check_table(X)
        check_is_fitted(self)
        means = self.means_
        self.means_ = np.zeros((len(means), table.n_columns))
        self.feature_names_in_ = table.columns
        try:
            return super()._row_proba(X)
        finally:
            self.means_ = means


class SortsClassesDownwards(ToyClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.classes_, self.means_ = self.classes_[::-1], self.means_[::-1]
        return self


class HasNoClasses(ToyClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.labels_ = vars(self).pop("classes_")
        return self


class PredictsOtherLabels(ToyClassifier):
    def predict(self, X):
        maps = super().predict(X)
        maps[:] = [labels + 1 for labels in maps]
        return maps


class PredictsCodes(ToyClassifier):
    def predict(self, X):
        table, proba = self._row_proba(X)
        return self._paint(table, proba.argmax(axis=1))


class LearnsUnlabeledPixels(CuresMasks):
    def cure(self, mask, shape):
        return mask + 1

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = self.classes_ - 1
        return self


class RefusesUnlabeledImages(CuresMasks):
    def cure(self, mask, shape):
        if (mask == -1).all():
            raise ValueError("masks: expected labels.")
        return mask


class ReturnsDistances(ToyClassifier):
    def predict_proba(self, X):
        maps = super().predict_proba(X)
        maps[:] = [0.5 * proba for proba in maps]
        return maps


class ReturnsOneClass(ToyClassifier):
    def predict_proba(self, X):
        maps = super().predict_proba(X)
        maps[:] = [proba[..., 1:] for proba in maps]
        return maps


class PredictsTheLeastProbable(ToyClassifier):
    def predict(self, X):
        table, proba = self._row_proba(X)
        return self._paint(table, self.classes_[proba.argmin(axis=1)])


class ReturnsRowsOfOneImage(ToyClassifier):
    def predict_superpixel_proba(self, X):
        return super().predict_superpixel_proba(X)[: X.row_offsets[1]]


class ScoresInPercent(ToyClassifier):
    def score(self, X, y, sample_weight=None):
        return 100 * super().score(X, y)


class ScoresAlike(ToyClassifier):
    def score(self, X, y, sample_weight=None):
        check_is_fitted(self)
        return 0.123


class ScoresAllPixels(ToyClassifier):
    def score(self, X, y, sample_weight=None):
        pairs = zip(y, self.predict(X), strict=True)
        return np.mean([np.mean(mask == labels) for mask, labels in pairs])


class ScoresBackwards(ToyClassifier):
    def score(self, X, y, sample_weight=None):
        return mean_iou([mask[::-1] for mask in y], self.predict(X))


class PredictsFractions(ToyClassifier):
    def predict(self, X):
        maps = super().predict(X)
        maps[:] = [labels + 0.5 for labels in maps]
        return maps


class HasNoColumns(ToyClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.n_features_in_ = 1
        return self


class ForgetsNames(ToyClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self._names = vars(self).pop("feature_names_in_")
        return self


BROKEN = {
    "deep_params": {ForgetsInnerParams: "estimator__gain"},
    "is_no_classifier_of_sklearn": {IsAClassifier: "leave ClassifierMixin out"},
    "fit_without_masks": {NeedsNoMasks: "got none"},
    "output_types": {ReturnsAList: "list, not ndarray"},
    "output_dtypes": {PredictsFractions: "float64"},
    "view_of_images": {ReadsBlocks: "a view of images is refused"},
    "input_of_pandas": {TakesTablesOnly: "a pandas frame of a table is refused"},
    "wrong_number_of_masks_is_refused": {FillsUpMasks: "got none"},
    "mask_of_wrong_shape_is_refused": {FitsMasksToImages: "got none"},
    "nan_mask_is_refused": {FillsNaNOfMasks: "got none"},
    "fractional_mask_is_refused": {RoundsMasks: "got none"},
    "rgb_mask_is_refused": {TakesTheFirstChannel: "got none"},
    "one_mask_is_refused": {TakesOneMask: "got none"},
    "unlabeled_masks_are_refused": {LearnsNothing: "got none"},
    "unknown_label_is_refused": {IgnoresUnknownLabels: "got none"},
    "mask_dtypes": {NeedsInt64: "masks of uint8 are refused"},
    "nan_feature_is_refused": {FillsNaNFeatures: "got none"},
    "other_columns_are_refused": {TakesOtherColumns: "got none"},
    "classes": {
        SortsClassesDownwards: "not sorted",
        HasNoClasses: "no classes_",
    },
    "labels_are_classes": {PredictsOtherLabels: "no classes: [3]"},
    "labels_of_any_value": {PredictsCodes: "learned otherwise"},
    "unlabeled_pixels": {LearnsUnlabeledPixels: "-1 is learned as a class"},
    "unlabeled_image": {RefusesUnlabeledImages: "without a label is refused"},
    "probabilities_sum_to_one": {
        ReturnsDistances: "sum to something else than 1",
        ReturnsOneClass: "of 3 classes",
    },
    "probabilities_agree_with_labels": {PredictsTheLeastProbable: "most probable"},
    "probabilities_of_superpixels": {ReturnsRowsOfOneImage: "shape"},
    "score_is_a_share": {ScoresInPercent: "not from 0 to 1"},
    "score_is_a_measure": {ScoresAlike: "the score is 0.123"},
    "perfect_score": {ScoresBackwards: "not 1"},
    "score_leaves_unlabeled_pixels_out": {ScoresAllPixels: "count in the score"},
    "scorer": {PredictsFractions: "mean_iou_scorer fails"},
    "features_in": {
        HasNoColumns: "n_features_in_ is 1",
        ForgetsNames: "feature_names_in_",
    },
}
# Parameters other than the default, where a fault shows only then.
PARAMS = {ForgetsInnerParams: {"estimator": ToyLevel()}}
