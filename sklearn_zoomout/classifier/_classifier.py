"""`ZoomoutClassifier`: its parameters, and fit from masks to a trained network."""

import os
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import has_fit_parameter

from .._utils.checkpoints import check_checkpoint
from .._utils.device import check_device
from .._utils.fitting import fresh_fit
from .._utils.params import validate_params
from ..labels import LabeledRows, check_classes, check_present, label_rows
from ..loss import check_class_weight, class_weights, warn_of_lost_classes
from ..masks._present import PresentLabels
from ..table import FeatureTable, check_table
from ._base import SuperpixelClassifier
from ._callbacks import check_callbacks
from ._held_out import count_held_out, hold_out
from ._standardization import check_finite, column_moments, standardize
from ._warm_start import EarlierFit, Moments, recall_fit


class ZoomoutClassifier(SuperpixelClassifier):
    """Label superpixels by a feedforward network (sections 2.2 and 4.3).

    Every superpixel gets the label that most of its labeled pixels have. A network is
    trained on the features of the labeled superpixels of all images. In prediction,
    every pixel gets the class of its superpixel.

    Parameters
    ----------
    hidden_units : "auto" or sequence of int, default="auto"
        Width of every hidden layer of ReLU units. () is a linear softmax. "auto" is ()
        for fewer than 1,000 training superpixels, such as those of a few scribbles, and
        else (512,). It is also (512,) with ``max_epochs``, ``callbacks`` or
        ``schedule="constant"``.
    dropout : float, default=0.5
        Share of hidden units that are dropped in training, in [0, 1).
    class_weight : "balanced", float, None or dict, default="balanced"
        The weight of a class in the loss. "balanced" is equation (2): one over the
        frequency of the class among the training superpixels. None is the symmetric
        loss: all weights are 1. A number a in 0..1 lies between the two: one over the
        frequency to the power a. A dict has the weight of every class. Classes that it
        does not list have the weight 1.
    learning_rate : float, default=1e-3
        Step size of AdamW; the largest one of a cycle.
    schedule : {"one_cycle", "constant"}, default="one_cycle"
        "one_cycle" lets the step size rise for three tenths of the steps, and then fall
        to 0. "constant" with ``learning_rate=1e-4`` and ``batch_size=512`` is the slow
        training of the paper.
    weight_decay : float, default=1e-3
        Decoupled weight decay of AdamW.
    max_epochs : int or None, default=None
        Passes over the training superpixels. For a cycle, None chooses the smallest
        number with at least 300 steps and 2 passes. One pass is enough if it has 1,000
        steps. At a constant step size, it is the smallest number with at least 1,000
        steps and 4 passes. If images have more than 500 labeled superpixels on average,
        these passes need to show only 2,000 of each image.
    batch_size : int, default=128
        Largest number of superpixels of a step.
    classes : array-like of integers of shape (n_classes,), default=None
        All classes. A class without a training superpixel, such as in a fold, then
        keeps its place in ``classes_``. By default, the labels of the masks.
    standardize : bool, default=True
        Subtract the mean of each feature, divide by its standard deviation, and clip
        to -5..5. Clipping bounds histogram bins that are rarely filled, whose standard
        deviation is tiny.
    estimator : scikit-learn classifier, default=None
        A classifier in place of the network. Its training data is one array of the
        standardized features of all training superpixels. ``class_weight`` becomes
        ``sample_weight``, of mean 1. The parameters of the network and of its training
        have no effect.
    validation_fraction : float, default=None
        Share of the images that are held out to compute ``valid_loss``, in (0, 1).
    callbacks : list of skorch callbacks, default=None
        Callbacks of the training, such as ``EarlyStopping(patience=3)``.
    warm_start : bool, default=False
        Begin with the weights of the last fit, if the classes, the columns and the
        hidden units are the same. A linear softmax becomes the same as without. A
        network is trained for 150 steps, if ``max_epochs`` is None. It has no effect on
        ``estimator``.
    checkpoint : str, path or None, default=None
        A folder that keeps the progress of every training, after every epoch and every
        30 seconds. The same fit goes on from there. It needs a ``random_state``.
    device : str, default="cpu"
        Where torch trains and predicts. A classifier that was trained on "cuda"
        predicts on the CPU of a machine without CUDA.
    random_state : int, RandomState or None, default=None
        Seed of the first weights, of dropout, of the order of the superpixels and of
        the choice of held-out images.
    verbose : int, default=0
        If positive, a bar shows the steps, their loss and the time that is left. Where
        there is no terminal and no notebook, a line is printed at the end.

    Attributes
    ----------
    classes_ : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    class_frequency_ : ndarray of float64 of shape (n_classes,)
        Their shares of the training superpixels. The sum is 1.
    n_features_in_ : int
        Number of feature columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names.
    mean_, scale_ : ndarray of float64 of shape (n_features_in_,)
        Mean and standard deviation of the features of the training superpixels. None
        if ``standardize`` is False.
    hidden_units_ : tuple of int
        The hidden units that were chosen. Only without ``estimator``.
    net_ : skorch.NeuralNet
        The trained net, with its weights on the CPU. Only without ``estimator``.
    history_ : list of dict
        The losses of every epoch. That of a solver is one epoch. Only without
        ``estimator``.
    estimator_ : scikit-learn classifier
        The fitted clone of ``estimator``. Its classes are positions in ``classes_``.
        Only with ``estimator``.

    Notes
    -----
    The paper trains with a fixed learning rate of 1e-4 and a weight decay of 1e-3. It
    does not state the optimizer, the batch size, the number of epochs, or whether the
    features are standardized. These are choices of this library.

    A linear softmax is fitted to convergence by scikit-learn's `LogisticRegression`, on
    a copy of the training superpixels. With n of them it has ``C=30 / n``. It is
    trained in steps, like any network, with ``max_epochs``, ``callbacks`` or
    ``schedule="constant"``, or if the table is in files.

    In ``checkpoint``, a training is found by its parameters and data, so that folds and
    candidates of a search share the folder. A finished one is not repeated. Callbacks
    of your own must not change the training. A solver writes no checkpoint.

    Small steps are computed on one thread, because threads would wait for each other.

    An integer ``random_state`` trains the same network again on the same machine with
    the same number of threads. The global generators of torch are not used.

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
        "hidden_units": [StrOptions({"auto"}), list, tuple, np.ndarray],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [
            StrOptions({"balanced"}),
            Interval(Real, 0, 1, closed="both"),
            dict,
            None,
        ],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions({"one_cycle", "constant"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "classes": ["array-like", None],
        "standardize": ["boolean"],
        "estimator": [HasMethods("fit"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_units: "str | Sequence[int]" = "auto",
        *,
        dropout: float = 0.5,
        class_weight: "str | float | Mapping[int, float] | None" = "balanced",
        learning_rate: float = 1e-3,
        schedule: str = "one_cycle",
        weight_decay: float = 1e-3,
        max_epochs: int | None = None,
        batch_size: int = 128,
        classes: ArrayLike | None = None,
        standardize: bool = True,
        estimator: Any = None,
        validation_fraction: float | None = None,
        callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        checkpoint: "str | os.PathLike | None" = None,
        device: str = "cpu",
        random_state: "int | np.random.RandomState | None" = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.classes = classes
        self.standardize = standardize
        self.estimator = estimator
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.checkpoint = checkpoint
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
            If a parameter is wrong, a mask does not fit its image, fewer than two
            classes have superpixels, a feature is NaN or infinite, or the loss becomes
            NaN or infinite.
        """
        earlier = recall_fit(self)
        with fresh_fit(self):
            self._check_params()
            table = check_table(X)
            # Section 4: a superpixel has the label of most of its pixels.
            labeled = label_rows(table.superpixels, y, check_classes(self.classes))
            warn_of_lost_classes(labeled)
            rng = check_random_state(self.random_state)
            train, valid = hold_out(labeled, self._held_out_share, rng)
            # Section 2.2: the weight of a class is one over its frequency.
            self.class_frequency_ = train.frequency()
            weight = class_weights(
                self.class_weight, train.classes, self.class_frequency_
            )
            moments = self._measure(table, train, valid)
            # Section 4.3: a feedforward network.
            rows = table, train, weight, moments
            if self.estimator is None:
                seed = int(rng.randint(np.iinfo(np.int32).max))
                self.__dict__.update(self._fit_net(*rows, valid, seed, earlier))
            else:
                self.estimator_ = self._fit_estimator(*rows)
            self.classes_ = train.classes
            self.n_features_in_ = table.n_columns
            self.feature_names_in_ = np.array(table.columns, dtype=object)
            self.mean_, self.scale_ = moments
        return self

    def _check_params_before_fit(self) -> None:
        self._check_params()
        check_classes(self.classes)

    def _check_labels_before_fit(self, labels: PresentLabels | None) -> None:
        classes, present = check_present(labels, self.classes)
        check_class_weight(self.class_weight, classes, present)
        if labels is not None:
            count_held_out(int(labels.labeled.sum()), self._held_out_share)

    @property
    def _held_out_share(self) -> float | None:
        return self.validation_fraction if self.estimator is None else None

    def _check_params(self) -> None:
        """Check all parameters except those that depend on the masks."""
        validate_params(self)
        units = [] if isinstance(self.hidden_units, str) else list(self.hidden_units)
        if not all(isinstance(n, Integral) and n is not True and n > 0 for n in units):
            raise ValueError(
                f"hidden_units: expected a sequence of integers >= 1, got {units}."
            )
        if self.estimator is not None:
            self._check_estimator()
        else:
            check_device(self.device)
            check_checkpoint(self.checkpoint, self.random_state)
            check_callbacks(self.get_params(deep=False))

    def _check_estimator(self) -> None:
        name = type(self.estimator).__name__
        if not is_classifier(self.estimator):
            raise ValueError(f"estimator: expected a classifier, got {name}.")
        if self.class_weight is not None and not has_fit_parameter(
            self.estimator, "sample_weight"
        ):
            raise ValueError(
                f"class_weight={self.class_weight!r} cannot be applied, since "
                f"{name}.fit takes no sample_weight; pass class_weight=None."
            )

    def _measure(
        self, table: FeatureTable, train: LabeledRows, valid: LabeledRows | None
    ) -> Moments:
        """Return the moments that standardize the rows; check that rows are finite."""
        moments = column_moments(table, train.rows)
        if valid is not None:
            check_finite(table, valid.rows)
        return moments if self.standardize else (None, None)

    def _fit_net(
        self,
        table: FeatureTable,
        train: LabeledRows,
        weight: NDArray[np.float64],
        moments: Moments,
        valid: LabeledRows | None,
        seed: int,
        earlier: EarlierFit | None,
    ) -> dict[str, Any]:
        """Train the network; return its attributes."""
        from ._fit_net import fit_net

        return fit_net(
            self.get_params(deep=False),
            table,
            train,
            valid,
            class_weight=weight,
            moments=moments,
            seed=seed,
            earlier=earlier,
        )

    def _fit_estimator(
        self,
        table: FeatureTable,
        train: LabeledRows,
        weight: NDArray[np.float64],
        moments: Moments,
    ) -> Any:
        """Fit a clone of the scikit-learn classifier."""
        fit_params = {}
        if self.class_weight is not None:
            row_weight = weight[train.codes]
            fit_params["sample_weight"] = row_weight / row_weight.mean()
        x = standardize(table.take(train.rows), *moments)
        return clone(self.estimator).fit(x, train.codes, **fit_params)

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
        # The estimator has no column for a class without a training superpixel.
        proba = np.zeros((table.n_rows, len(self.classes_)), dtype=np.float32)
        start = 0
        for x in self._batches(table):
            rows = slice(start, start + len(x))
            proba[rows, self.estimator_.classes_] = self.estimator_.predict_proba(x)
            start += len(x)
        return proba

    def _batches(self, table: FeatureTable) -> Iterator[NDArray[np.float32]]:
        """Check all rows, and return standardized batches for the estimator."""
        check_finite(table, np.arange(table.n_rows))
        return (standardize(x, self.mean_, self.scale_) for x in table.batches())
