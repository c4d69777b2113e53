"""Estimators of a user, written only against what is public, and right ones."""

from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_zoomout import FeatureTable, RegionFeatures, SuperpixelSegmenter
from sklearn_zoomout.labels import superpixel_labels
from sklearn_zoomout.metrics import mean_iou
from sklearn_zoomout.superpixels import check_superpixels
from sklearn_zoomout.table import Block, check_table


def forget(estimator):
    """Delete what an earlier fit has set."""
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)


def fit_and_transform(estimator, X, y):
    """Fit and transform, and leave no fit if either fails."""
    try:
        return estimator.fit(X, y).transform(X)
    except BaseException:
        forget(estimator)
        raise


def cut_into_squares(image, side):
    """Return the label map of squares of a side."""
    rows, columns = np.indices(image.shape[:2]) // side
    return rows * (columns.max() + 1) + columns


class ToySegmenter(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Cut images into squares."""

    def __init__(self, side=8):
        self.side = side

    def _inner(self):
        return SuperpixelSegmenter(method=partial(cut_into_squares, side=self.side))

    def fit(self, images, masks=None):
        """Look at the images."""
        forget(self)
        superpixels = self._inner().fit_transform(images)
        self.largest_ = max(segmented.n_segments for segmented in superpixels)
        return self

    def fit_transform(self, images, masks=None):
        """Look at the images and cut them."""
        return fit_and_transform(self, images, masks)

    def transform(self, images):
        """Cut images."""
        check_is_fitted(self)
        return self._inner().transform(images)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class ToyLevel(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """The mean color of superpixels, relative to that of the images of fit."""

    def __init__(self, gain=1.0, offsets=(0, 0, 0), n_jobs=None, random_state=None):
        self.gain = gain
        self.offsets = offsets
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, superpixels, masks=None):
        """Remember the mean color."""
        forget(self)
        superpixels = check_superpixels(superpixels)
        if len(superpixels) == 0:
            raise ValueError("superpixels: expected at least one image, got none.")
        self.mean_ = np.mean([s.rgb.mean(axis=(0, 1)) for s in superpixels], axis=0)
        return self

    def fit_transform(self, superpixels, masks=None):
        """Remember the mean color, and return the table of all images."""
        return fit_and_transform(self, superpixels, masks)

    def describe(self, segmented):
        """Return the rows of an image."""
        labels = segmented.segments.ravel()
        channels = segmented.rgb.reshape(-1, 3).T
        sums = np.array([np.bincount(labels, channel) for channel in channels])
        rows = (sums / segmented.areas).T - self.mean_ + np.asarray(self.offsets)
        return (self.gain * rows).astype(np.float32)

    def transform(self, superpixels):
        """Return the table of all images."""
        check_is_fitted(self)
        superpixels = check_superpixels(superpixels)
        rows = np.concatenate([self.describe(segmented) for segmented in superpixels])
        names = tuple(self.get_feature_names_out())
        return FeatureTable(superpixels, [Block("toy", names, rows)])

    def get_feature_names_out(self, input_features=None):
        """Return the names of the colors."""
        check_is_fitted(self)
        return np.array(["red", "green", "blue"], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class ToyRegionLevel(RegionFeatures):
    """The same, as a subclass of `RegionFeatures`, whose rows can be kept."""

    block_name = "toy"
    cache_version = 1

    def __init__(self, gain=1.0, memory=None, n_jobs=None):
        self.gain = gain
        self.memory = memory
        self.n_jobs = n_jobs

    def learn(self, superpixels, masks=None):
        """Remember the mean color."""
        self.mean_ = np.mean([s.rgb.mean(axis=(0, 1)) for s in superpixels], axis=0)

    def describe(self, segmented):
        """Return the rows of an image."""
        return self.gain * ToyLevel.describe(_with_mean(self.mean_), segmented)

    def column_names(self):
        """Return the names of the colors."""
        return ["red", "green", "blue"]


def _with_mean(mean):
    level = ToyLevel()
    level.mean_ = mean
    return level


class ToyClassifier(BaseEstimator):
    """Label superpixels by the class of the nearest mean."""

    def __init__(self, power=2.0, estimator=None, verbose=0):
        self.power = power
        self.estimator = estimator
        self.verbose = verbose

    def fit(self, X, y):
        """Compute the mean row of every class."""
        forget(self)
        table = check_table(X)
        rows = table.to_numpy()
        if not np.isfinite(rows).all():
            raise ValueError("X: expected finite features, got NaN or infinity.")
        masks = list(table.superpixels.iter_masks(y))
        labels = np.concatenate(
            [
                superpixel_labels(segmented, mask)
                for segmented, mask in zip(table.superpixels, masks, strict=True)
            ]
        )
        classes = np.unique(np.concatenate([np.unique(mask) for mask in masks]))
        classes = classes[classes >= 0].astype(np.int64)
        if len(classes) == 0:
            raise ValueError("masks: expected labels, got none.")
        means = [rows[labels == label].mean(axis=0) for label in classes]
        self.classes_, self.means_ = classes, np.array(means)
        self.n_features_in_ = table.n_columns
        self.feature_names_in_ = np.array(table.columns, dtype=object)
        return self

    def _row_proba(self, X):
        check_is_fitted(self)
        table = check_table(X)
        if table.columns != list(self.feature_names_in_):
            raise ValueError(
                f"X: expected {self.feature_names_in_}, got {table.columns}"
            )
        rows = table.to_numpy()
        if not np.isfinite(rows).all():
            raise ValueError("X: expected finite features, got NaN or infinity.")
        distances = np.linalg.norm(rows[:, None] - self.means_, axis=2) ** self.power
        near = np.exp(-10 * distances)
        return table, near / near.sum(axis=1, keepdims=True)

    def _paint(self, table, values):
        maps = np.empty(len(table), dtype=object)
        parts = np.split(values, table.row_offsets[1:-1])
        for i, segmented in enumerate(table.superpixels):
            maps[i] = parts[i][segmented.segments]
        return maps

    def predict(self, X):
        """Label every pixel."""
        table, proba = self._row_proba(X)
        return self._paint(table, self.classes_[proba.argmax(axis=1)])

    def predict_proba(self, X):
        """Return the probabilities of every pixel."""
        return self._paint(*self._row_proba(X))

    def predict_superpixel_proba(self, X):
        """Return the probabilities of every superpixel."""
        return self._row_proba(X)[1]

    def score(self, X, y, sample_weight=None):
        """Return the mean IoU."""
        check_is_fitted(self)
        masks = list(check_table(X).superpixels.iter_masks(y, to_learn=False))
        unknown = sorted(set(np.unique(np.concatenate(masks, axis=None))) - {-1})
        unknown = [int(x) for x in unknown if x not in self.classes_]
        if unknown:
            raise ValueError(f"masks: expected labels of fit, got {unknown}.")
        return mean_iou(masks, self.predict(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags
