"""Training of the network by skorch; needs torch."""

import contextlib
import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping

from ._batches import TableRows, load_batches
from ._net import WeightedLogLoss, ZoomoutNet


class _StopTraining(Exception):
    """The patience of an EarlyStopping is over."""


class RowNet(NeuralNet):
    """The training loop of skorch, with errors that skorch does not raise.

    skorch ends the training at a KeyboardInterrupt and returns the net as it is then.
    This net raises it again. `skorch.callbacks.EarlyStopping` ends the training by an
    exception of its own. A loss that is NaN or infinite is an error.
    """

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a method of the net and of every callback."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            if method_name == "on_epoch_end" and isinstance(callback, EarlyStopping):
                _end_epoch(callback, self, **cb_kwargs)
            else:
                getattr(callback, method_name)(self, **cb_kwargs)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any
    ) -> Self:
        """Train for ``max_epochs``, or until a callback stops."""
        if not self.initialized_:
            self.initialize()
        fit_params.pop("_routing_method", None)
        self.notify("on_train_begin", X=X, y=y)
        with contextlib.suppress(_StopTraining):
            self.fit_loop(X, y, **fit_params)
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
                f"{len(self.history[-1, 'batches'])}; lower learning_rate, or scale "
                "the features (standardize=True)."
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
    class_weight: NDArray[np.float64],
    moments: tuple[ArrayLike | None, ArrayLike | None],
    max_epochs: int,
    seed: int,
) -> RowNet:
    """Make a net that is ready for `train_net`.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    n_features : int
        Number of columns.
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
    return RowNet(
        ZoomoutNet,
        module__n_features=n_features,
        module__hidden_units=[int(n) for n in params["hidden_units"]],
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


def train_net(net: RowNet, train: TableRows, valid: TableRows | None) -> None:
    """Train a net, move it to the CPU, and clear the state of its optimizer.

    Parameters
    ----------
    net : RowNet
        The net.
    train : TableRows
        The rows to learn from.
    valid : TableRows or None
        The rows on which to compute ``valid_loss``.

    Raises
    ------
    ValueError
        If the loss or the weights become NaN or infinite.
    """
    net.fit((train, valid))
    net.module_.to("cpu")
    net.criterion_.to("cpu")
    net.device = "cpu"
    net.optimizer_.state.clear()
    for epoch in net.history:
        epoch["batches"] = []
    if not all(bool(p.isfinite().all()) for p in net.module_.parameters()):
        raise ValueError(
            f"the weights became NaN or infinite in epoch {len(net.history)}; lower "
            "learning_rate, or scale the features (standardize=True)."
        )
