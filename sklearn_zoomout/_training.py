"""How rows of a table reach skorch, and skorch without its traps; needs torch."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from torch import Tensor

from ._columns import check_finite
from ._streaming import read_windows, rows_of_window, split_into_windows
from ._utils.device import device_to_predict_on
from .net import InverseFrequencyLoss, ZoomoutNet
from .table import FeatureTable

# Rows per forward pass; 2048 rows of 5,000 features take 40 MB.
PREDICTED_AT_ONCE = 2048


class TableRows(torch.utils.data.Dataset):
    """Some rows of a table and their classes, never copied as a whole.

    Parameters
    ----------
    table : FeatureTable
        The features.
    rows : ndarray of integers of shape (n_rows,)
        Row numbers.
    targets : ndarray of integers of shape (n_rows,)
        Their classes, 0 to n_classes - 1.
    """

    def __init__(
        self, table: FeatureTable, rows: NDArray[Any], targets: NDArray[Any]
    ) -> None:
        self.table = table
        self.rows = rows
        self.targets = targets

    def __len__(self) -> int:
        return len(self.rows)


class RowBatches:
    """Iterate over `TableRows` in batches, which all share one buffer.

    Takes the place of `torch.utils.data.DataLoader`, which asks for single rows. A
    batch is valid until the next one is drawn. Batches differ in size by at most
    one row, since the loss of a batch of a few rows would count as much as others.

    Rows in memory are drawn from all others. Of a table in files, which may not fit in
    memory and whose disk would have to seek for every row, a large part is read at a
    time, of short runs of rows from all over the table, and batches are drawn from it.

    Parameters
    ----------
    dataset : TableRows
        The rows.
    batch_size : int
        The largest number of rows of a batch.
    rng : numpy.random.Generator, default=None
        Draws a new order for every epoch; None keeps the order.
    """

    def __init__(
        self,
        dataset: TableRows,
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.dataset.table.in_files:
            yield from self._read_from_files()
            return
        data, n_rows = self.dataset, len(self.dataset)
        order = np.arange(n_rows) if self.rng is None else self.rng.permutation(n_rows)
        size = min(self.batch_size, n_rows)
        buffer = np.empty((size, data.table.n_columns), dtype=np.float32)
        for chosen in np.array_split(order, len(self)):
            # In ascending order, neighboring rows are read together.
            chosen = np.sort(chosen)
            x = data.table.take(data.rows[chosen], out=buffer[: len(chosen)])
            yield torch.from_numpy(x), torch.from_numpy(data.targets[chosen])

    def _read_from_files(self) -> Iterator[tuple[Tensor, Tensor]]:
        data, n_rows = self.dataset, len(self.dataset)
        window = rows_of_window(data.table.n_columns)
        windows = split_into_windows(n_rows, len(self), window, self.rng)
        for chosen, x in read_windows(data.table, data.rows, windows):
            yield torch.from_numpy(x), torch.from_numpy(data.targets[chosen])


class _StopTraining(Exception):
    """A callback asks for the end of training."""


class RowNet(NeuralNet):
    """skorch's training loop, without what it does silently.

    An interrupt is raised again, where skorch returns the half-trained net as a
    fitted one; only `skorch.callbacks.EarlyStopping`, which speaks through the same
    exception, ends the training. A loss that is not finite is an error.
    """

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a method of the net and of every callback."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt:
                if _wants_to_stop(callback):
                    raise _StopTraining from None
                raise

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


def _wants_to_stop(callback: Any) -> bool:
    return (
        isinstance(callback, EarlyStopping)
        and getattr(callback, "misses_", None) == callback.patience
    )


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
    """Put together a net that is ready for `train_net`.

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
        iterator_train=RowBatches,
        iterator_train__rng=np.random.default_rng(seed),
        iterator_valid=RowBatches,
        train_split=None,
        predict_nonlinearity=None,
        callbacks=None if callbacks is None else list(callbacks),
        device=device,
        verbose=verbose,
    )


def train_net(net: RowNet, train: TableRows, valid: TableRows | None) -> None:
    """Train a net, and leave it on the CPU, without what only training needs.

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


def predict_proba(
    module: ZoomoutNet, table: FeatureTable, device: str = "cpu"
) -> NDArray[np.float32]:
    """Compute the class probabilities of all rows of a table.

    Parameters
    ----------
    module : ZoomoutNet
        A trained network.
    table : FeatureTable
        The features.
    device : str, default="cpu"
        Where to compute; the CPU if there is no such device. The network itself
        stays where it is.

    Returns
    -------
    ndarray of float32 of shape (n_rows, n_classes)

    Raises
    ------
    ValueError
        If a feature is NaN or infinite.
    """
    device = device_to_predict_on(device)
    if device != "cpu":
        module = copy.deepcopy(module).to(device)
    module.eval()
    if any(block.per_image for block in table.blocks):
        compute_logits = _compute_by_image(module, table, device)
    else:
        compute_logits = _compute_by_row(module, table, device)
    proba = np.empty((table.n_rows, module.n_classes), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, table.n_rows, PREDICTED_AT_ONCE):
            rows = np.arange(start, min(start + PREDICTED_AT_ONCE, table.n_rows))
            proba[rows] = compute_logits(rows).softmax(dim=1).cpu().numpy()
    return proba


def _compute_by_row(
    module: ZoomoutNet, table: FeatureTable, device: str
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Give the function that computes the logits of some rows of a table."""
    buffer = np.empty((PREDICTED_AT_ONCE, table.n_columns), dtype=np.float32)

    def compute_logits(rows: NDArray[np.int64]) -> Tensor:
        x = torch.from_numpy(table.take(rows, out=buffer[: len(rows)]))
        if not math.isfinite(x.sum().item()):
            check_finite(table, rows)
        return module(x.to(device))

    return compute_logits


def _compute_by_image(
    module: ZoomoutNet, table: FeatureTable, device: str
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Do so, multiplying what the superpixels of an image share once for the image.

    With VGG-16 the global level is a third of the columns, and of the first layer's
    work. The sums are those of `_compute_by_row` in another order.
    """
    per_image = np.array([b.per_image for b in table.blocks for _ in b.columns])
    own, shared = (
        table.select([b.name for b in table.blocks if b.per_image is which])
        for which in (False, True)
    )
    multiply_own = module.first_product(np.flatnonzero(~per_image))
    multiply_shared = module.first_product(np.flatnonzero(per_image))
    bias = module.layers[0].get_parameter("bias")
    buffer = np.empty((PREDICTED_AT_ONCE, own.n_columns), dtype=np.float32)

    def compute_logits(rows: NDArray[np.int64]) -> Tensor:
        images, image_of_row = np.unique(table.image_of_row[rows], return_inverse=True)
        x = torch.from_numpy(own.take(rows, out=buffer[: len(rows)]))
        x_shared = torch.from_numpy(shared.take(table.row_offsets[images]))
        if not math.isfinite(x.sum().item() + x_shared.sum().item()):
            check_finite(table, rows)
        product = multiply_own(x.to(device))
        product += multiply_shared(x_shared.to(device))[image_of_row]
        return module.finish(product + bias)

    return compute_logits
