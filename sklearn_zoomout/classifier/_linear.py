"""The linear softmax, fitted to convergence by a convex solver; needs torch."""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ._batches import TableRows, load_batches
from ._net import ZoomoutNet
from ._standardization import standardize
from ._training import RowNet, refuse_weights
from ._warm_start import Moments

# Beside the mean loss, the penalty is half the sum of squared weights over this number.
# Strokes on whole photographs want more of it to label other photographs (5), and less
# to label the rest of the same ones (30 to 80).
_STRENGTH = 30.0
_MAX_ITER = 1000
# The logit of a class that has no training row. Its probability is 0.
_NEVER = -1e4


def fit_linear(
    net: RowNet,
    train: TableRows,
    valid: TableRows | None,
    moments: Moments,
    *,
    warm: bool = False,
) -> None:
    """Fit the only layer of a net by L-BFGS, and note the losses in its history.

    The loss is that of equation (2). It has an L2 penalty, without which rows that a
    plane separates would have infinite weights.

    Parameters
    ----------
    net : RowNet
        An initialized net without a hidden layer.
    train : TableRows
        The rows to learn from. They are copied.
    valid : TableRows or None
        The rows on which to compute ``valid_loss``.
    moments : tuple of two ndarray of shape (n_columns,), or of two None
        The means and deviations that the net standardizes with.
    warm : bool, default=False
        Begin with the weights of the net.

    Raises
    ------
    ValueError
        If the weights become NaN or infinite.
    """
    start = time.perf_counter()
    class_weight = net.criterion_.weight.double().cpu().numpy()
    row_weight = class_weight[train.targets]
    model = LogisticRegression(C=_STRENGTH / len(train), max_iter=_MAX_ITER)
    present = np.unique(train.targets)
    if warm:
        model.set_params(warm_start=True)
        model.coef_, model.intercept_ = _read(net.module_, present)
        model.classes_ = present
    x = standardize(train.table.take(train.rows), *moments)
    model.fit(x, train.targets, row_weight / row_weight.mean())
    _write(net.module_, present, model.coef_, model.intercept_)
    refuse_weights(net, "in the solver")
    net.history.new_epoch()
    net.history.record("epoch", 1)
    net.history.record("train_loss", _mean_loss(net, train))
    if valid is not None:
        net.history.record("valid_loss", _mean_loss(net, valid))
    net.history.record("dur", time.perf_counter() - start)


def _read(
    module: ZoomoutNet, present: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weights and biases of a layer as `LogisticRegression` has them."""
    layer = module.layers[0]
    coef, intercept = (p.detach().cpu().numpy()[present] for p in layer.parameters())
    if len(present) == 2:  # it has the difference of two classes
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    return coef, intercept


def _write(
    module: ZoomoutNet,
    present: NDArray[np.int64],
    coef: NDArray[np.floating],
    intercept: NDArray[np.floating],
) -> None:
    """Set the weights and biases of a layer to those of a `LogisticRegression`."""
    if len(present) == 2:
        coef, intercept = (np.concatenate([-x, x]) / 2 for x in (coef, intercept))
    with torch.no_grad():
        weight, bias = module.layers[0].parameters()
        weight.zero_()
        bias.fill_(_NEVER)
        weight[present] = torch.as_tensor(coef).to(weight)
        bias[present] = torch.as_tensor(intercept).to(bias)


def _mean_loss(net: RowNet, rows: TableRows) -> float:
    """Compute the mean loss of rows."""
    total = 0.0
    with torch.inference_mode():
        for x, target in load_batches(rows, batch_size=4096):
            logits = net.module_(x.to(net.device))
            total += net.criterion_(logits, target.to(net.device)).item() * len(x)
    return total / len(rows)
