"""What a fitted pipeline decides by, and where it loses accuracy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .images import check_image, check_images
from .labels import check_known_labels, superpixel_labels
from .masks import check_masks
from .metrics import class_accuracy, mean_iou, pixel_accuracy
from .regions import SegmentedImage
from .table import FeatureTable, check_table

if TYPE_CHECKING:
    from .plotting import ZoomImportanceDisplay

__all__ = ["ErrorBudget", "ZoomImportance", "error_budget", "zoom_importance"]

_MEASURES: dict[str, Callable[..., float]] = {
    "pixel accuracy": pixel_accuracy,
    "class accuracy": class_accuracy,
    "mean IoU": mean_iou,
}


@dataclass(frozen=True, eq=False)
class ZoomImportance:
    """How much each zoom-out level says for the labels of one image.

    Attributes
    ----------
    segmented : SegmentedImage
        The image and its superpixels.
    levels : list of str
        The names of the levels, in the order of their columns.
    classes : ndarray of int64 of shape (n_classes,)
        The classes of the model.
    decision : ndarray of int64 of shape (n_segments,)
        The label of every superpixel, given all levels.
    probability : ndarray of float32 of shape (n_segments,)
        The probability of that label.
    values : ndarray of float32 of shape (n_segments, n_levels)
        How much of that probability is lost without each level, -1..1: positive
        where the level speaks for the decision, negative where it speaks against it.
    decision_without : ndarray of int64 of shape (n_segments, n_levels)
        The label of every superpixel without each level.
    """

    segmented: SegmentedImage
    levels: list[str]
    classes: NDArray[np.int64]
    decision: NDArray[np.int64]
    probability: NDArray[np.float32]
    values: NDArray[np.float32]
    decision_without: NDArray[np.int64]

    def plot(
        self,
        *,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        axes: ArrayLike | None = None,
    ) -> "ZoomImportanceDisplay":
        """Draw the image, its labels, and a map for each level.

        Parameters
        ----------
        class_names, axes
            See `sklearn_zoomout.plotting.ZoomImportanceDisplay`.

        Returns
        -------
        display : ZoomImportanceDisplay
        """
        from .plotting import ZoomImportanceDisplay

        return ZoomImportanceDisplay(self, class_names=class_names).plot(axes)


def zoom_importance(
    model: Pipeline,
    image: ArrayLike,
    *,
    reference: Sequence[ArrayLike] | None = None,
) -> ZoomImportance:
    """Measure how much each zoom-out level says for the label of each superpixel.

    The columns of one level at a time are replaced by their means, so that the
    level says the same of every superpixel. The importance of a level is the
    probability of the predicted class that is lost by this.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        Fitted. All steps but the last make a `FeatureTable` of images; the last has
        ``predict_superpixel_proba`` and ``classes_``, as `ZoomoutClassifier` has.
    image : array-like of shape (height, width, 3)
        uint8, or floating point in 0..1.
    reference : sequence of array-like of shape (height, width, 3), default=None
        Images whose superpixels give the means. None takes those of the training
        superpixels, which the last step keeps as ``mean_``.

    Returns
    -------
    ZoomImportance

    Raises
    ------
    TypeError
        If the model is no such pipeline.
    NotFittedError
        If it is not fitted.
    ValueError
        If the image is not valid, or there is no ``mean_`` and no reference.

    Notes
    -----
    The values of a superpixel need not add up to its probability. Levels that say
    the same replace each other: a level is unimportant where the others suffice. A
    model of one level is compared with a guess from mean features.

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
    features, classifier = _split(model, "predict_superpixel_proba")
    if isinstance(image, (list, tuple)):
        raise TypeError(
            "image: expected one image, an array of shape (height, width, 3), got a "
            f"{type(image).__name__}; explain its images one at a time."
        )
    image = check_image(image, "image")
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


@dataclass(frozen=True)
class ErrorBudget:
    """Where a model loses accuracy; ``print`` shows it as a table in percent.

    Attributes
    ----------
    scores : dict of str to dict of str to float
        What is reached, 0..1, for each stage ("superpixels", "features",
        "classifier") and measure ("pixel accuracy", "class accuracy", "mean IoU").
    """

    scores: dict[str, dict[str, float]]

    @property
    def losses(self) -> dict[str, dict[str, float]]:
        """What each stage loses of what the one before it reached, like `scores`."""
        before = dict.fromkeys(_MEASURES, 1.0)
        losses = {}
        for stage, reached in self.scores.items():
            losses[stage] = {name: before[name] - reached[name] for name in _MEASURES}
            before = reached
        return losses

    def __str__(self) -> str:
        lines = [
            " " * 13 + "".join(f"{name:>16}" for name in _MEASURES),
            " " * 13 + f"{'left':>10}{'lost':>6}" * len(_MEASURES),
        ]
        losses = self.losses
        for stage, reached in self.scores.items():
            cells = (
                f"{100 * reached[name]:10.1f}{100 * losses[stage][name]:6.1f}"
                for name in _MEASURES
            )
            lines.append(f"{stage:13}" + "".join(cells))
        return "\n".join(lines)


def error_budget(
    model: Pipeline,
    images: Sequence[ArrayLike],
    masks: Sequence[ArrayLike],
) -> ErrorBudget:
    """Tell how much the superpixels, the features and the classifier lose.

    Three label maps are scored, each of which has one more reason to be wrong:

    - superpixels: the majority of the labels of each superpixel, the ceiling of any
      method that labels superpixels as a whole;
    - features: the predictions of a clone of the model's last step that was trained
      on these very images. With the answers at hand, it fails where the features do
      not tell the classes apart for a classifier of this kind;
    - classifier: the predictions of the model. What they are worse by was lost in
      learning from other images.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        Fitted, on other images. All steps but the last make a `FeatureTable` of
        images; the last is a `ZoomoutClassifier` or the like.
    images : sequence of array-like of shape (height, width, 3)
        uint8, or floating point in 0..1.
    masks : sequence of array-like of integers of shape (height, width)
        True label maps. Pixels of the ``void_label`` of the model's last step, or of
        -1 if it has none, are left out.

    Returns
    -------
    ErrorBudget

    Raises
    ------
    TypeError
        If the model is no such pipeline.
    NotFittedError
        If it is not fitted.
    ValueError
        If a mask does not fit its image, or holds a label that the model does not
        know.

    Notes
    -----
    The features are computed once; training a clone costs as much as training the
    model's last step on as many images.

    Enough columns tell any few superpixels apart: the fewer the images, the less is
    laid on the features and the more on the classifier. Take as many images as the
    model was trained on, or more. Training for other aims than a measure, such as
    the asymmetric loss for pixel accuracy, counts among the losses of the features,
    and a loss can be negative. Majority labels have the highest pixel accuracy that
    the superpixels allow; for the other measures they come close to it.

    Examples
    --------
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> from sklearn_zoomout.inspection import error_budget
    >>> images, masks = make_scenes(n_images=8, random_state=0)
    >>> model = zoomout_pipeline(
    ...     levels=["global"], n_segments=50, max_epochs=5, random_state=0
    ... )
    >>> budget = error_budget(model.fit(images[:4], masks[:4]), images[4:], masks[4:])
    >>> print(budget)  # doctest: +SKIP
    >>> list(budget.losses)
    ['superpixels', 'features', 'classifier']
    """
    features, classifier = _split(model, "predict")
    void_label = getattr(classifier, "void_label", -1)
    checked = check_images(images)
    truth = check_masks(masks, checked)
    check_known_labels(truth, getattr(classifier, "classes_", None), void_label)
    table = check_table(features.transform(checked))
    best = [
        superpixel_labels(segmented, mask, void_label=void_label)[segmented.segments]
        for segmented, mask in zip(table.superpixels, truth, strict=True)
    ]
    stages = {
        "superpixels": best,
        "features": clone(classifier).fit(table, truth).predict(table),
        "classifier": classifier.predict(table),
    }
    return ErrorBudget(
        {
            stage: {
                name: measure(truth, maps, void_label=void_label)
                for name, measure in _MEASURES.items()
            }
            for stage, maps in stages.items()
        }
    )


def _split(model: Any, method: str) -> tuple[Pipeline, Any]:
    """Part a fitted pipeline into what makes the table and the last step."""
    if not isinstance(model, Pipeline):
        hint = ""
        if hasattr(model, "best_estimator_"):
            hint = "; pass its best_estimator_"
        elif hasattr(model, "refit"):  # a search
            hint = "; fit it first and pass its best_estimator_"
        raise TypeError(
            "model: expected a fitted sklearn.pipeline.Pipeline, such as that of "
            f"zoomout_pipeline, got {type(model).__name__}{hint}."
        )
    check_is_fitted(model)
    if len(model) < 2 or not hasattr(model[-1], method):
        raise TypeError(
            f"model: expected steps that make a FeatureTable and a last one with "
            f"{method}, got {[type(step).__name__ for _, step in model.steps]}; the "
            "last step may be a ZoomoutClassifier, whose estimator, if it has one, "
            "gives probabilities."
        )
    return model[:-1], model[-1]


def _means(
    features: Pipeline, classifier: Any, reference: Sequence[ArrayLike] | None
) -> NDArray[np.float64]:
    """Give the mean of each column, over the reference if there is one."""
    if reference is not None:
        checked = check_images(reference, "reference")
        table = check_table(features.transform(checked))
        return table.mean_and_scale()[0]
    mean = getattr(classifier, "mean_", None)
    if mean is None:
        raise ValueError(
            f"reference: {type(classifier).__name__} keeps no means of its features "
            "(mean_), as ZoomoutClassifier does unless standardize=False; pass images "
            "whose mean features stand for a level that is left out, such as some of "
            "those it was trained on."
        )
    return mean


def _without(table: FeatureTable, i: int, mean: NDArray[np.float32]) -> FeatureTable:
    """Replace the values of one block by their means."""
    blocks = list(table.blocks)
    values = np.broadcast_to(mean, blocks[i].values.shape)
    blocks[i] = replace(blocks[i], values=values)
    return FeatureTable(table.superpixels, blocks)
