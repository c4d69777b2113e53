"""The classifier of superpixels: masks to row labels, and row labels to masks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import has_fit_parameter

from .._utils.device import check_device
from .._utils.params import forget_fit, validate_params
from ..labels import LabeledRows, check_classes, label_rows
from ..loss import class_weights
from ..table import FeatureTable, check_table
from ._base import SuperpixelClassifier
from ._standardization import check_finite, column_moments, standardize

# Enough on Stanford Background for 20 images as for 572, and for 500 superpixels an
# image as for 1,000; more lower the class accuracy.
_STEPS, _EPOCHS, _ROWS_OF_AN_IMAGE = 1000, 4, 2000


class ZoomoutClassifier(SuperpixelClassifier):
    """Label superpixels by a feedforward network (sections 2.2 and 4.3).

    Every superpixel gets the label that most of its labeled pixels have, a network
    is trained on the features of all superpixels of all images, and its predictions
    are painted back onto the pixels.

    Parameters
    ----------
    hidden_units : sequence of int, default=(128,)
        Width of every hidden layer of ReLU units; () is a linear softmax.
    dropout : float, default=0.5
        Share of hidden units that are dropped in training, in [0, 1).
    class_weight : "balanced", float, None or dict, default="balanced"
        The weight of a class in the loss. "balanced" is equation (2), one over the
        frequency of the class among the training superpixels; None is the symmetric
        loss, all weights 1. A number a in 0..1 lies between the two: one over the
        frequency to the power a. A dict has the weight of every class. Classes that it
        does not list have the weight 1.
    learning_rate : float, default=1e-4
        Step size of AdamW, the same throughout.
    weight_decay : float, default=1e-3
        Decoupled weight decay of AdamW.
    max_epochs : int or None, default=None
        Passes over the training superpixels; None for as many as make 1,000 steps,
        but at least 4, or 2,000 superpixels of every image.
    batch_size : int, default=512
        Largest number of superpixels of a step.
    classes : array-like of integers of shape (n_classes,), default=None
        All classes, so that a class that is absent from a fold keeps its place; by
        default the labels of the masks.
    standardize : bool, default=True
        Subtract each feature's mean, divide by its standard deviation, and clip to
        -5..5, so that the rarely filled bins of a histogram cannot explode.
    estimator : scikit-learn classifier, default=None
        Takes the place of the network, given the standardized rows of all training
        superpixels as one array. ``class_weight`` reaches it as ``sample_weight``, of
        mean 1; all parameters about training have no effect.
    validation_fraction : float, default=None
        Share of the images that are held out to compute ``valid_loss``, in (0, 1).
    callbacks : list of skorch callbacks, default=None
        Passed on to skorch, such as ``EarlyStopping(patience=3)``.
    device : str, default="cpu"
        Where torch trains and predicts. A classifier that was trained on "cuda"
        predicts on the CPU where there is none.
    random_state : int, RandomState or None, default=None
        Determines the first weights, the order of the superpixels, dropout and the
        images held out.
    verbose : int, default=0
        If positive, skorch prints the losses of every epoch.

    Attributes
    ----------
    classes_ : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    class_frequency_ : ndarray of float64 of shape (n_classes,)
        Their shares of the training superpixels, of sum 1.
    n_features_in_ : int
        Number of feature columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names.
    mean_, scale_ : ndarray of float64 of shape (n_features_in_,)
        What standardizes the features; None if ``standardize`` is False.
    net_ : skorch.NeuralNet
        The trained net, with its weights on the CPU; only without ``estimator``.
    history_ : list of dict
        The losses of every epoch; only without ``estimator``.
    estimator_ : scikit-learn classifier
        The fitted clone of ``estimator``, whose classes are positions in
        ``classes_``; only with ``estimator``.

    Notes
    -----
    The paper trains with a fixed learning rate of 1e-4 and a weight decay of 1e-3,
    and does not state its optimizer, batch size, number of epochs, or whether
    features were standardized: those are this library's choices.

    An integer ``random_state`` trains the same network again on the same machine with
    the same number of threads. The global generators of torch are not touched.

    References
    ----------
    Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation with
    zoom-out features", arXiv 1412.0774, 2014.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout import ZoomoutClassifier
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> local = LocalFeatures(descriptors=("color", "location"))
    >>> table = local.fit_transform(superpixels)
    >>> classifier = ZoomoutClassifier(max_epochs=5, random_state=0)
    >>> predictions = classifier.fit(table, masks).predict(table)
    >>> predictions[0].shape == masks[0].shape
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "hidden_units": [list, tuple, np.ndarray],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [
            StrOptions({"balanced"}),
            Interval(Real, 0, 1, closed="both"),
            dict,
            None,
        ],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "classes": ["array-like", None],
        "standardize": ["boolean"],
        "estimator": [HasMethods("fit"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "callbacks": [list, tuple, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_units: Sequence[int] = (128,),
        *,
        dropout: float = 0.5,
        class_weight: "str | float | Mapping[int, float] | None" = "balanced",
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-3,
        max_epochs: int | None = None,
        batch_size: int = 512,
        classes: ArrayLike | None = None,
        standardize: bool = True,
        estimator: Any = None,
        validation_fraction: float | None = None,
        callbacks: Sequence[Any] | None = None,
        device: str = "cpu",
        random_state: "int | np.random.RandomState | None" = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.classes = classes
        self.standardize = standardize
        self.estimator = estimator
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Sequence[ArrayLike]) -> Self:
        """Train on the superpixels that have a label.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels of n_images images.
        y : sequence of array-like of integers of shape (height, width)
            The masks, a label map for every image.

        Returns
        -------
        self : ZoomoutClassifier

        Raises
        ------
        ValueError
            If a mask does not fit its image, fewer than two classes are left, a
            feature is NaN or infinite, or the loss becomes so.
        """
        forget_fit(self)
        validate_params(self)
        self._check_params()
        table = check_table(X)
        classes = check_classes(self.classes)
        labeled = label_rows(table.superpixels, y, classes)
        rng = check_random_state(self.random_state)
        fraction = None if self.estimator is not None else self.validation_fraction
        train, valid = _hold_out(labeled, fraction, rng)
        frequency = train.frequency()
        weight = class_weights(self.class_weight, train.classes, frequency)
        mean, scale = column_moments(table, train.rows)
        if valid is not None:
            check_finite(table, valid.rows)
        fitted: dict[str, Any] = {
            "classes_": train.classes,
            "class_frequency_": frequency,
            "n_features_in_": table.n_columns,
            "feature_names_in_": np.array(table.columns, dtype=object),
            "mean_": mean if self.standardize else None,
            "scale_": scale if self.standardize else None,
        }
        if self.estimator is None:
            fitted |= self._fit_net(table, train, valid, weight, fitted, rng)
        else:
            fitted |= self._fit_estimator(table, train, weight, fitted)
        self.__dict__.update(fitted)
        return self

    def _check_params(self) -> None:
        """Check what the declared constraints cannot express."""
        units = list(self.hidden_units)
        if not all(isinstance(n, Integral) and n is not True and n > 0 for n in units):
            raise ValueError(
                f"hidden_units: expected a sequence of integers >= 1, got {units}."
            )
        if self.estimator is not None:
            if not is_classifier(self.estimator):
                raise ValueError(
                    "estimator: expected a classifier, got "
                    f"{type(self.estimator).__name__}."
                )
            return
        check_device(self.device)
        for item in self.callbacks or ():
            callback = item[-1] if isinstance(item, tuple) else item
            monitor = str(getattr(callback, "monitor", None))
            if monitor.startswith("valid_") and self.validation_fraction is None:
                raise ValueError(
                    f"callbacks: {type(callback).__name__} monitors {monitor!r}, which "
                    "is computed on held-out images only; set validation_fraction, "
                    "such as 0.1."
                )

    def _fit_net(
        self,
        table: FeatureTable,
        train: LabeledRows,
        valid: LabeledRows | None,
        weight: NDArray[np.float64],
        fitted: dict[str, Any],
        rng: np.random.RandomState,
    ) -> dict[str, Any]:
        from ._batches import TableRows
        from ._training import make_net, train_net

        net = make_net(
            self.get_params(deep=False),
            n_features=table.n_columns,
            class_weight=weight,
            moments=(fitted["mean_"], fitted["scale_"]),
            max_epochs=self._n_epochs(table, train.rows),
            seed=int(rng.randint(np.iinfo(np.int32).max)),
        )
        train_net(
            net,
            TableRows(table, train.rows, train.codes),
            None if valid is None else TableRows(table, valid.rows, valid.codes),
        )
        history = [
            {key: value for key, value in epoch.items() if key != "batches"}
            for epoch in net.history
        ]
        return {"net_": net, "history_": history}

    def _n_epochs(self, table: FeatureTable, rows: NDArray[Any]) -> int:
        if self.max_epochs is not None:
            return self.max_epochs
        n_images = len(np.unique(table.image_of_row[rows]))
        enough = min(_EPOCHS, round(_ROWS_OF_AN_IMAGE * n_images / len(rows)))
        steps = math.ceil(len(rows) / self.batch_size)
        return max(enough, math.ceil(_STEPS / steps))

    def _fit_estimator(
        self,
        table: FeatureTable,
        train: LabeledRows,
        weight: NDArray[np.float64],
        fitted: dict[str, Any],
    ) -> dict[str, Any]:
        fit_params = {}
        if self.class_weight is not None:
            if not has_fit_parameter(self.estimator, "sample_weight"):
                raise ValueError(
                    f"class_weight={self.class_weight!r} cannot be applied, since "
                    f"{type(self.estimator).__name__}.fit takes no sample_weight; "
                    "pass class_weight=None."
                )
            row_weight = weight[train.codes]
            fit_params["sample_weight"] = row_weight / row_weight.mean()
        x = standardize(table.take(train.rows), fitted["mean_"], fitted["scale_"])
        estimator = clone(self.estimator).fit(x, train.codes, **fit_params)
        return {"estimator_": estimator}

    def _has_probabilities(self) -> bool:
        if hasattr(self, "net_"):
            return True
        inner = getattr(self, "estimator_", self.estimator)
        return inner is None or hasattr(inner, "predict_proba")

    def _row_codes(self, table: FeatureTable) -> NDArray[np.intp]:
        if self._has_probabilities():
            return super()._row_codes(table)
        predict = self.estimator_.predict
        return np.concatenate([predict(x) for x in self._batches(table)])

    def _row_probabilities(self, table: FeatureTable) -> NDArray[np.float32]:
        if hasattr(self, "net_"):
            from ._prediction import predict_proba

            return predict_proba(self.net_.module_, table, self.device)
        # A class that had no superpixel is unknown to the estimator.
        proba = np.zeros((table.n_rows, len(self.classes_)), dtype=np.float32)
        start = 0
        for x in self._batches(table):
            rows = slice(start, start + len(x))
            proba[rows, self.estimator_.classes_] = self.estimator_.predict_proba(x)
            start += len(x)
        return proba

    def _batches(self, table: FeatureTable) -> Iterator[NDArray[np.float32]]:
        """Yield the rows as the estimator expects them."""
        check_finite(table, np.arange(table.n_rows))
        return (standardize(x, self.mean_, self.scale_) for x in table.batches())


def _hold_out(
    labeled: LabeledRows, fraction: float | None, rng: np.random.RandomState
) -> tuple[LabeledRows, LabeledRows | None]:
    """Split off the rows of a share of the images, for validation.

    Parameters
    ----------
    labeled : LabeledRows
        All labeled rows.
    fraction : float or None
        Share of the images to hold out; at least one image is.
    rng : RandomState
        Chooses the images.

    Returns
    -------
    train, valid : LabeledRows
        ``valid`` is None if ``fraction`` is.

    Raises
    ------
    ValueError
        If no image would be left to train on.
    """
    if fraction is None:
        return labeled, None
    images = rng.permutation(np.unique(labeled.images))
    n_valid = max(1, round(fraction * len(images)))
    if n_valid >= len(images):
        raise ValueError(
            f"validation_fraction={fraction} of {len(images)} images with labels "
            "leaves none to train on; use a smaller one, or more images."
        )
    return labeled.of_images(images[n_valid:]), labeled.of_images(images[:n_valid])
