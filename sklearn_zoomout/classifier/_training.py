"""Training of the network by skorch; needs torch."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping

from ._batches import TableRows, load_batches
from ._net import InverseFrequencyLoss, ZoomoutNet


class _StopTraining(Exception):
    """A callback asks for the end of training."""


class RowNet(NeuralNet):
    """The training loop of skorch, with errors where skorch is silent.

    An interrupt is raised again; skorch returns a net that was trained for a while. A
    loss that is not finite is an error. `skorch.callbacks.EarlyStopping` ends the
    training.
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
        """Return the pair that fit was given; the net keeps no reference to it."""
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

    It stops skorch by raising KeyboardInterrupt, as Ctrl-C does. With endless patience
    it does not, so that every KeyboardInterrupt is one of the user's.
    """
    patience, callback.patience = callback.patience, math.inf
    try:
        callback.on_epoch_end(net, **cb_kwargs)
    finally:
        callback.patience = patience
    if callback.misses_ >= patience:
        raise _StopTraining


def make_net(
    *,
    n_features: int,
    hidden_units: Sequence[int],
    class_weight: ArrayLike,
    mean: ArrayLike | None,
    scale: ArrayLike | None,
    dropout: float,
    learning_rate: float,
    weight_decay: float,
    max_epochs: int,
    batch_size: int,
    callbacks: Sequence[Any] | None,
    device: str,
    verbose: int,
    seed: int,
) -> RowNet:
    """Make a net that is ready for `train_net`.

    The parameters are those of `ZoomoutNet` and of `ZoomoutClassifier`;
    ``class_weight`` has one weight per class.

    Returns
    -------
    RowNet
    """
    weight = np.asarray(class_weight, dtype=np.float32)
    return RowNet(
        ZoomoutNet,
        module__n_features=n_features,
        module__hidden_units=hidden_units,
        module__n_classes=len(weight),
        module__dropout=dropout,
        module__mean=mean,
        module__scale=scale,
        module__random_state=seed,
        criterion=InverseFrequencyLoss,
        criterion__weight=weight,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=weight_decay,
        optimizer__fused=torch.device(device).type in ("cpu", "cuda"),
        lr=learning_rate,
        max_epochs=max_epochs,
        batch_size=batch_size,
        iterator_train=load_batches,
        iterator_train__rng=np.random.default_rng(seed),
        iterator_valid=load_batches,
        train_split=None,
        predict_nonlinearity=None,
        callbacks=None if callbacks is None else list(callbacks),
        device=device,
        verbose=verbose,
    )


def train_net(net: RowNet, train: TableRows, valid: TableRows | None) -> None:
    """Train a net, and leave it on the CPU, without the state of the training.

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
