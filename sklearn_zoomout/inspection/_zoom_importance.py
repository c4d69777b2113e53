"""How much each zoom-out level contributes to the labels of an image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline

from ..images import check_sequence
from ..superpixels import SegmentedImage
from ..superpixels._reading import reading_of
from ..table import FeatureTable, check_table
from ._pipeline_parts import split_pipeline


@dataclass(frozen=True, eq=False)
class ZoomImportance:
    """How much each zoom-out level contributes to the labels of one image.

    `ZoomImportanceDisplay` draws it.

    Attributes
    ----------
    segmented : SegmentedImage
        The image and its superpixels.
    levels : list of str
        The names of the levels, in the order of their columns.
    classes : ndarray of int64 of shape (n_classes,)
        The classes of the model.
    decision : ndarray of int64 of shape (n_segments,)
        The label of every superpixel in a prediction from all levels.
    probability : ndarray of float32 of shape (n_segments,)
        The probability of that label.
    values : ndarray of float32 of shape (n_segments, n_levels)
        How much of that probability is lost without each level, -1..1. It is positive
        where the level raises the probability, and negative where it lowers it.
    decision_without : ndarray of int64 of shape (n_segments, n_levels)
        The label of every superpixel in a prediction without each level.
    """

    segmented: SegmentedImage
    levels: list[str]
    classes: NDArray[np.int64]
    decision: NDArray[np.int64]
    probability: NDArray[np.float32]
    values: NDArray[np.float32]
    decision_without: NDArray[np.int64]


def zoom_importance(
    model: Pipeline, image: ArrayLike, *, reference: Sequence[ArrayLike] | None = None
) -> ZoomImportance:
    """Measure how much each zoom-out level contributes to the label of each superpixel.

    The columns of one level are replaced by their means, so that the level is equal for
    all superpixels. The importance of the level is the decrease in the probability of
    the predicted class.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        A fitted model. All steps but the last make a `FeatureTable` of images. The last
        step has ``predict_superpixel_proba`` and ``classes_``, like
        `ZoomoutClassifier`.
    image : array-like of shape (height, width[, n_channels])
        An image such as those of fit.
    reference : sequence of array-like, default=None
        Images. The means are those of the features of their superpixels. None takes the
        means over the training superpixels, ``mean_`` of the last step.

    Returns
    -------
    ZoomImportance

    Raises
    ------
    TypeError
        If the model is not such a pipeline.
    NotFittedError
        If it is not fitted.
    ValueError
        If the image is not valid, or there is no ``mean_`` and no reference.

    Notes
    -----
    The values of a superpixel do not add up to its probability. If levels hold the same
    information, they replace each other. A level is therefore unimportant where the
    other levels suffice. A model of one level is compared with a prediction from mean
    features.

    Examples
    --------
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> from sklearn_zoomout.inspection import zoom_importance
    >>> images, masks = make_scenes(n_images=5, random_state=0)
    >>> model = zoomout_pipeline(
    ...     levels=["distant", "global"], n_segments=50, max_epochs=5, random_state=0
    ... )
    >>> importance = zoom_importance(model.fit(images[:4], masks[:4]), images[4])
    >>> importance.levels
    ['distant', 'global']
    >>> importance.values.shape == (importance.segmented.n_segments, 2)
    True
    """
    features, classifier = split_pipeline(model, "predict_superpixel_proba")
    if isinstance(image, (list, tuple)):
        raise TypeError(
            "image: expected one image, an array of shape (height, width, 3), got a "
            f"{type(image).__name__}; pass one of its images at a time."
        )
    reading_of(features).read_one(image, "image")
    mean_row = _means(features, classifier, reference).astype(np.float32)
    table = check_table(features.transform([image]))
    proba = classifier.predict_superpixel_proba(table)
    codes = proba.argmax(axis=1)
    rows = np.arange(table.n_rows)
    means = np.split(
        mean_row,
        np.cumsum([len(block.columns) for block in table.blocks])[:-1],
    )
    without = np.stack(
        [
            classifier.predict_superpixel_proba(_without(table, i, mean))
            for i, mean in enumerate(means)
        ],
        axis=1,
    )
    classes = np.asarray(classifier.classes_)
    return ZoomImportance(
        segmented=table.superpixels[0],
        levels=table.block_names,
        classes=classes,
        decision=classes[codes],
        probability=proba[rows, codes],
        values=proba[rows, codes, None] - without[rows, :, codes],
        decision_without=classes[without.argmax(axis=2)],
    )


def _means(
    features: Pipeline, classifier: Any, reference: Sequence[ArrayLike] | None
) -> NDArray[np.float64]:
    """Return the mean of each column over the reference or the training superpixels."""
    if reference is not None:
        check_sequence(reference, "reference", "an image", single_ndim=3)
        reference = list(reference)  # images in files are read once
        reading_of(features).read(reference, "reference")
        table = check_table(features.transform(reference))
        return table.mean_and_scale()[0]
    mean = getattr(classifier, "mean_", None)
    if mean is None:
        raise ValueError(
            f"reference: {type(classifier).__name__} has no means of its features "
            "(mean_), as ZoomoutClassifier has unless standardize=False; pass images, "
            "such as some of the training images, whose mean features replace a level."
        )
    return mean


def _without(table: FeatureTable, i: int, mean: NDArray[np.float32]) -> FeatureTable:
    """Replace the values of one block by their means."""
    blocks = list(table.blocks)
    values = np.broadcast_to(mean, blocks[i].values.shape)
    blocks[i] = replace(blocks[i], values=values)
    return FeatureTable(table.superpixels, blocks)
