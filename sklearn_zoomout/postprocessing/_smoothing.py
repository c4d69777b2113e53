"""Smoothing over the superpixel graph, in a few layers of mean-field inference."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.utils._param_validation import Interval

from ..superpixels import SegmentedImage
from ._base import LabeledImage, Postprocessor, check_candidates, mean_colors


class GraphSmoothing(Postprocessor):
    """Make nearby superpixels of similar color agree.

    The probabilities p of the superpixels of an image pass through a few layers. Each
    layer is one iteration of mean-field inference with a Potts model::

        q <- softmax(log p + strength * W q)

    W averages over the superpixels within a graph distance. The weight of a superpixel
    is its share of their pixels times exp(-d^2 / 2 bandwidth^2), where d is the
    distance between the mean colors. A superpixel whose color differs from all its
    surroundings is thus left unchanged.

    Strength and bandwidth are chosen by the mean IoU of out-of-fold predictions.
    Strength 0, which changes nothing, is always among the candidates.

    Parameters
    ----------
    estimator : estimator with ``predict_superpixel_proba``
        A `ZoomoutClassifier`, or another clean-up step that contains one. A fitted
        estimator inside `sklearn.frozen.FrozenEstimator` is not fitted again. Then
        ``fit`` needs images that this estimator was not trained on.

        An estimator of your own needs the methods ``fit(table, masks)`` and
        ``predict_superpixel_proba(table)``. After ``fit`` it needs the attributes
        ``classes_``, sorted, ``n_features_in_`` and ``feature_names_in_``. If it has a
        parameter ``classes``, each fold sets it to the classes of all images.
    radius : int, default=3
        Largest graph distance of the superpixels in the average.
    n_layers : int, default=3
        Number of layers.
    strengths : sequence of float, default=(2, 4, 8, 16)
        Candidates for the strength, >= 0.
    bandwidths : sequence of float, default=(3, 5, 8)
        Candidates for the bandwidth in units of L*a*b*, > 0.
    cv : int, splitter, iterable or None, default=3
        The folds of images for the out-of-fold predictions, as in
        `sklearn.model_selection.cross_val_predict`. An integer is the number of folds,
        at most one per image. An integer or a splitter splits only the images that have
        a label. The indices of an iterable count all images. The iterable must not be a
        generator, which cannot be cloned.

    Attributes
    ----------
    estimator_ : estimator
        The estimator, fitted on all images.
    classes_ : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    strength_, bandwidth_ : float
        The chosen strength and bandwidth.
    strengths_ : ndarray of float64 of shape (n_strengths,)
        All candidates for the strength, ascending from 0.
    scores_ : ndarray of float64 of shape (n_bandwidths, n_strengths)
        Mean IoU of the out-of-fold predictions for each bandwidth and each of
        ``strengths_``.
    n_features_in_ : int
        Number of feature columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names.
    mean_ : ndarray of float64 of shape (n_features_in_,) or None
        Their means. None if the estimator has no ``mean_``.

    See Also
    --------
    IslandRemoval : Learn which isolated regions to relabel.

    Notes
    -----
    ``fit`` trains the estimator once for each fold and once on all images. A clean-up
    step that contains another one, with 3 folds each, trains a classifier 16 times.

    References
    ----------
    Krähenbühl, Koltun, "Efficient inference in fully connected CRFs with Gaussian
    edge potentials", NIPS 2011.

    Zheng et al., "Conditional random fields as recurrent neural networks", ICCV 2015.

    Examples
    --------
    >>> from sklearn_zoomout import GraphSmoothing, LocalFeatures
    >>> from sklearn_zoomout import SuperpixelSegmenter, ZoomoutClassifier
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=6, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> local = LocalFeatures(descriptors=("color", "location"))
    >>> table = local.fit_transform(superpixels)
    >>> model = GraphSmoothing(ZoomoutClassifier(max_epochs=5, random_state=0))
    >>> model.fit(table, masks).scores_.shape
    (3, 5)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **Postprocessor._parameter_constraints,
        "radius": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "strengths": [list, tuple, np.ndarray],
        "bandwidths": [list, tuple, np.ndarray],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        radius: int = 3,
        n_layers: int = 3,
        strengths: Sequence[float] = (2, 4, 8, 16),
        bandwidths: Sequence[float] = (3, 5, 8),
        cv: Any = 3,
    ) -> None:
        self.estimator = estimator
        self.radius = radius
        self.n_layers = n_layers
        self.strengths = strengths
        self.bandwidths = bandwidths
        self.cv = cv

    def _check_params(self) -> None:
        super()._check_params()
        check_candidates("strengths", self.strengths, ">= 0")
        check_candidates("bandwidths", self.bandwidths, "> 0")

    def _learn(self, images: list[LabeledImage], n_classes: int) -> dict[str, Any]:
        bandwidths = np.asarray(self.bandwidths, dtype=np.float64)
        strengths = np.unique(np.append(0.0, self.strengths))
        # Number of pixels per candidate, predicted class and true class.
        confusion = np.zeros((len(bandwidths), len(strengths), n_classes, n_classes))
        for segmented, proba, counts in images:
            for i, average in enumerate(self._averages(segmented, bandwidths)):
                for j, strength in enumerate(strengths):
                    codes = self._smooth(proba, average, strength).argmax(axis=1)
                    np.add.at(confusion[i, j], codes, counts)
        hit = confusion.diagonal(axis1=2, axis2=3)
        union = confusion.sum(axis=2) + confusion.sum(axis=3) - hit
        with np.errstate(invalid="ignore"):  # classes that do not occur
            scores = np.nanmean(hit / union, axis=2)
        # Of candidates with equal scores, the weakest is chosen.
        strength, bandwidth = np.unravel_index(scores.T.argmax(), scores.T.shape)
        return {
            "strengths_": strengths,
            "scores_": scores,
            "strength_": float(strengths[strength]),
            "bandwidth_": float(bandwidths[bandwidth]),
        }

    def _change(
        self, segmented: SegmentedImage, proba: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        if self.strength_ == 0:
            return proba
        (average,) = self._averages(segmented, [self.bandwidth_])
        return self._smooth(proba, average, self.strength_)

    def _averages(
        self, segmented: SegmentedImage, bandwidths: Iterable[float]
    ) -> list[sparse.csr_array]:
        """Return W for every bandwidth, float32 of shape (n_segments, n_segments)."""
        near = segmented.neighborhood(self.radius).tocoo()
        rows, columns = near.coords
        colors = mean_colors(segmented)
        squares = ((colors[rows] - colors[columns]) ** 2).sum(axis=1)
        pixels = np.where(rows == columns, 0, segmented.areas[columns])
        region = np.bincount(rows, pixels, segmented.n_segments)
        # If a superpixel is the whole image, there are no pixels around it.
        share = pixels / np.maximum(region, 1)[rows]
        averages = []
        for bandwidth in bandwidths:
            weights = share * np.exp(-squares / (2 * bandwidth**2))
            entries = weights.astype(np.float32), near.coords
            averages.append(sparse.csr_array(entries, shape=near.shape))
        return averages

    def _smooth(
        self, proba: NDArray[np.float32], average: sparse.csr_array, strength: float
    ) -> NDArray[np.float32]:
        if strength == 0:
            return proba
        # A probability of 0, which votes of trees can have, can still be raised.
        unary = np.log(np.maximum(proba, np.finfo(np.float32).eps))
        for _ in range(self.n_layers):
            message = np.float32(strength) * (average @ proba)
            proba = special.softmax(unary + message, axis=1)
        return proba
