"""Where a fitted pipeline loses accuracy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ..images import check_sequence
from ..labels import check_known_labels, superpixel_labels
from ..masks import check_masks
from ..metrics import class_accuracy, mean_iou, pixel_accuracy
from ..superpixels._reading import reading_of
from ..table import check_table
from ._pipeline_parts import split_pipeline

_MEASURES: dict[str, Callable[..., float]] = {
    "pixel accuracy": pixel_accuracy,
    "class accuracy": class_accuracy,
    "mean IoU": mean_iou,
}


@dataclass(frozen=True)
class ErrorBudget:
    """The accuracy that each stage of a model reaches and loses.

    ``print`` shows it as a table in percent.

    Attributes
    ----------
    scores : dict of str to dict of str to float
        The score, 0..1, of each stage ("superpixels", "features", "classifier") in each
        measure ("pixel accuracy", "class accuracy", "mean IoU").
    """

    scores: dict[str, dict[str, float]]

    @property
    def losses(self) -> dict[str, dict[str, float]]:
        """How much lower each score is than that of the stage before, like `scores`.

        The loss of the first stage is the difference from 1.
        """
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
    model: Pipeline, images: Sequence[ArrayLike], masks: Sequence[ArrayLike]
) -> ErrorBudget:
    """Measure how much accuracy the superpixels, the features and the classifier lose.

    Three label maps are scored. Each has one more source of errors than the one before:

    - superpixels: the majority label of each superpixel, which is the ceiling of every
      method that labels whole superpixels;
    - features: the predictions of a clone of the model's last step that was trained on
      these same images. It is wrong where a classifier of this kind cannot separate the
      classes by these features;
    - classifier: the predictions of the model. The rest was lost in learning from other
      images.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        A model that was fitted on other images. All steps but the last make a
        `FeatureTable` of images. The last step is a `ZoomoutClassifier` or another
        classifier of superpixels.
    images : sequence of array-like of shape (height, width[, n_channels])
        Images such as those of fit.
    masks : sequence of array-like of integers of shape (height, width)
        True label maps. Unlabeled pixels (-1) are ignored.

    Returns
    -------
    ErrorBudget

    Raises
    ------
    TypeError
        If the model is not such a pipeline.
    NotFittedError
        If it is not fitted.
    ValueError
        If a mask does not fit its image, or has a label that is not among the classes
        of the model.

    Notes
    -----
    The features are computed once. The clone trains as long as the model's last step
    would train on these images.

    With few images, the features have enough columns to separate all superpixels. Then
    the loss of the features is small, and the loss of the classifier is large. Use at
    least as many images as the model was trained on.

    A loss can be negative, because the training does not optimize the measure itself.
    For example, the asymmetric loss does not maximize the pixel accuracy. The
    difference counts as a loss of the features.

    Majority labels have the highest pixel accuracy that the superpixels allow. In the
    other measures they come close to the highest value.

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
    features, classifier = split_pipeline(model, "predict")
    check_sequence(images, "images", "an image", single_ndim=3)
    images = list(images)  # those in files are read once
    read = reading_of(features).read(images)
    truth = check_masks(masks, [image.image for image in read])
    check_known_labels(truth, getattr(classifier, "classes_", None))
    table = check_table(features.transform(images))
    truth = list(table.superpixels.iter_masks(truth, to_learn=False))
    best = [
        superpixel_labels(segmented, mask)[segmented.segments]
        for segmented, mask in zip(table.superpixels, truth, strict=True)
    ]
    stages = {
        "superpixels": best,
        "features": clone(classifier).fit(table, truth).predict(table),
        "classifier": classifier.predict(table),
    }
    return ErrorBudget(
        {
            stage: {name: measure(truth, maps) for name, measure in _MEASURES.items()}
            for stage, maps in stages.items()
        }
    )
