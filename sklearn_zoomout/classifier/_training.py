"""Training of the network by skorch; needs torch."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, PrintLog

from .._utils.checkpoints import Checkpoint
from ._batches import TableRows, load_batches
from ._checkpoints import KeepProgress
from ._net import WeightedLogLoss, ZoomoutNet
from ._progress import StepBar, progress_bar
from ._schedule import one_cycle


class _StopTraining(Exception):
    """The patience of an EarlyStopping is over."""


class RowNet(NeuralNet):
    """The training loop of skorch, with errors that skorch does not raise.

    skorch ends the training at a KeyboardInterrupt and returns the net as it is then.
    This net raises it again. `skorch.callbacks.EarlyStopping` ends the training by an
    exception of its own. A loss that is NaN or infinite is an error. A progress bar
    takes the place of the table of losses that skorch prints.
    """

    iterator_train: Any

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        named = super()._default_callbacks
        return [pair for pair in named if not isinstance(pair[1], PrintLog)]

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a method of the net and of every callback."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            if method_name == "on_epoch_end" and isinstance(callback, EarlyStopping):
                _end_epoch(callback, self, **cb_kwargs)
            else:
                getattr(callback, method_name)(self, **cb_kwargs)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        n_epochs: int = 0,
        n_skipped: int = 0,
        **fit_params: Any,
    ) -> Self:
        """Train until epoch ``max_epochs``, or until a callback stops.

        ``n_epochs`` of them, and ``n_skipped`` steps of the next one, are done already.
        """
        if not self.initialized_:
            self.initialize()
        fit_params.pop("_routing_method", None)
        self.notify("on_train_begin", X=X, y=y)
        with contextlib.suppress(_StopTraining):
            if n_skipped:
                whole = self.iterator_train
                self.iterator_train = partial(whole, n_skipped=n_skipped)
                self.fit_loop(X, y, 1, **fit_params)
                self.iterator_train = whole
                n_epochs += 1
            self.fit_loop(X, y, self.max_epochs - n_epochs, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def get_split_datasets(
        self, X: tuple[TableRows, TableRows | None], y: Any = None, **params: Any
    ) -> tuple[TableRows, TableRows | None]:
        """Return the pair of data sets. The net keeps no reference to it."""
        return X

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Refuse a loss that is NaN or infinite."""
        loss = kwargs["loss"].item()
        if not math.isfinite(loss):
            kind = "training" if training else "validation"
            raise ValueError(
                f"the {kind} loss became {loss} in epoch {len(self.history)}, batch "
                f"{len(self.history[-1, 'batches'])}; lower learning_rate, which is "
                f"{self.lr:g}, or scale the features (standardize=True)."
            )


def _end_epoch(callback: EarlyStopping, net: RowNet, **cb_kwargs: Any) -> None:
    """Call ``EarlyStopping.on_epoch_end``, and stop if its patience is over.

    The callback stops skorch by a KeyboardInterrupt, as Ctrl-C does. During this call
    its patience is infinite, so that it raises none. Every KeyboardInterrupt then comes
    from the user.
    """
    patience, callback.patience = callback.patience, math.inf
    try:
        callback.on_epoch_end(net, **cb_kwargs)
    finally:
        if callback.patience == math.inf:  # else a subclass has set another one
            callback.patience = patience
    if callback.misses_ >= callback.patience:
        if net.verbose:  # skorch's own message, which infinite patience prevents
            callback.sink(
                f"Stopping since {callback.monitor} has not improved in the last "
                f"{callback.patience} epochs."
            )
        raise _StopTraining


def make_net(
    params: Mapping[str, Any],
    *,
    n_features: int,
    hidden_units: Sequence[int],
    class_weight: NDArray[np.float64],
    moments: tuple[ArrayLike | None, ArrayLike | None],
    max_epochs: int,
    seed: int,
) -> RowNet:
    """Make a net with its first weights, ready for `train_net`.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    n_features : int
        Number of columns.
    hidden_units : sequence of int
        Width of every hidden layer.
    class_weight : ndarray of float64 of shape (n_classes,)
        The weight of every class.
    moments : tuple of two array-like of shape (n_features,), or of two None
        The means and deviations that standardize the columns.
    max_epochs : int
        Number of passes over the rows.
    seed : int
        Seed of the first weights, of dropout and of the order of the rows.

    Returns
    -------
    RowNet
    """
    weight = class_weight.astype(np.float32)
    net = RowNet(
        ZoomoutNet,
        module__n_features=n_features,
        module__hidden_units=list(hidden_units),
        module__n_classes=len(weight),
        module__dropout=params["dropout"],
        module__mean=moments[0],
        module__scale=moments[1],
        module__random_state=seed,
        criterion=WeightedLogLoss,
        criterion__weight=weight,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=params["weight_decay"],
        optimizer__fused=torch.device(params["device"]).type in ("cpu", "cuda"),
        lr=params["learning_rate"],
        max_epochs=max_epochs,
        batch_size=params["batch_size"],
        iterator_train=load_batches,
        iterator_train__rng=np.random.default_rng(seed),
        iterator_valid=load_batches,
        train_split=None,
        predict_nonlinearity=None,
        callbacks=params["callbacks"] and list(params["callbacks"]),
        device=params["device"],
        verbose=params["verbose"],
    )
    return net.initialize()


def train_net(
    net: RowNet,
    train: TableRows,
    valid: TableRows | None,
    schedule: str = "constant",
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train a net in steps.

    Parameters
    ----------
    net : RowNet
        The net.
    train : TableRows
        The rows to learn from.
    valid : TableRows or None
        The rows on which to compute ``valid_loss``.
    schedule : {"one_cycle", "constant"}, default="constant"
        How the rate changes.
    checkpoint : Checkpoint or None, default=None
        From where to go on, and what to write meanwhile.

    Raises
    ------
    ValueError
        If the loss or the weights become NaN or infinite.
    """
    n_batches = math.ceil(len(train) / net.batch_size)
    n_steps = net.max_epochs * n_batches
    kept = None if checkpoint is None else KeepProgress(checkpoint, n_batches)
    n_epochs, n_skipped = (0, 0) if kept is None else kept.go_on(net)
    if n_epochs == net.max_epochs:
        return
    step = n_epochs * n_batches + n_skipped
    callbacks = net.callbacks_
    with progress_bar(n_steps, net.verbose, step) as bar:
        ours: list[tuple[str, Any]] = []
        if bar is not None:
            ours.append(("step_bar", StepBar(bar)))
        if schedule == "one_cycle":
            ours.append(("one_cycle", _OneCycle(net.lr, n_steps, step)))
        if kept is not None:
            ours.append(("kept", kept))
        net.callbacks_ = [*ours, *callbacks]
        try:
            net.partial_fit((train, valid), n_epochs=n_epochs, n_skipped=n_skipped)
        finally:
            net.callbacks_ = callbacks
    refuse_weights(net, f"in epoch {len(net.history)}")
    if kept is not None:
        kept.finish(net)


class _OneCycle(Callback):
    """Set the rate of every step."""

    def __init__(self, rate: float, n_steps: int, step: int) -> None:
        self.rate, self.n_steps, self.step = rate, n_steps, step

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            # The rate of a step is that of its middle, so that no step has the rate 0.
            factor = one_cycle((self.step + 0.5) / self.n_steps)
            for group in net.optimizer_.param_groups:
                group["lr"] = self.rate * factor
            self.step += 1


def refuse_weights(net: RowNet, when: str) -> None:
    """Raise an error if a weight is NaN or infinite."""
    if not all(bool(p.isfinite().all()) for p in net.module_.parameters()):
        raise ValueError(
            f"the weights became NaN or infinite {when}; lower learning_rate, which is "
            f"{net.lr:g}, or scale the features (standardize=True)."
        )


def tidy(net: RowNet) -> None:
    """Move a trained net to the CPU, and clear what only the training needs."""
    net.module_.to("cpu")
    net.criterion_.to("cpu")
    net.device = "cpu"
    net.optimizer_.state.clear()
    for epoch in net.history:
        epoch["batches"] = []
