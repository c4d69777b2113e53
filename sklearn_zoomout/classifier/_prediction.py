"""Class probabilities of the rows of a table, by a trained network; needs torch."""

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._utils.device import device_to_predict_on
from .._utils.threads import limit_after_fork
from ..table import FeatureTable
from ._net import ZoomoutNet
from ._standardization import check_finite

# Rows in one forward pass at most; 2,048 rows of 5,000 features take 40 MB.
_ROWS_AT_ONCE = 2048


def predict_proba(
    module: ZoomoutNet, table: FeatureTable, device: str = "cpu"
) -> NDArray[np.float32]:
    """Compute the class probabilities of all rows of a table.

    A forward pass has rows of one image only. The last digits of a product depend on
    how many rows it has, and those of an image shall not depend on the other images.

    Parameters
    ----------
    module : ZoomoutNet
        A trained network.
    table : FeatureTable
        The features.
    device : str, default="cpu"
        Where to compute. If there is no such device, it is the CPU, with a warning. The
        network itself stays where it is.

    Returns
    -------
    ndarray of float32 of shape (n_rows, n_classes)

    Raises
    ------
    ValueError
        If a feature is NaN or infinite.
    """
    limit_after_fork()
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
        for first, end in pairwise(table.row_offsets.tolist()):
            for start in range(first, end, _ROWS_AT_ONCE):
                rows = np.arange(start, min(start + _ROWS_AT_ONCE, end))
                proba[rows] = compute_logits(rows).softmax(dim=1).cpu().numpy()
    return proba


def _compute_by_row(
    module: ZoomoutNet, table: FeatureTable, device: str
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Return the function that computes the logits of some rows of an image."""
    buffer = np.empty((_ROWS_AT_ONCE, table.n_columns), dtype=np.float32)

    def compute_logits(rows: NDArray[np.int64]) -> Tensor:
        x = torch.from_numpy(table.take(rows, out=buffer[: len(rows)]))
        if not math.isfinite(x.sum().item()):
            check_finite(table, rows)
        return module(x.to(device))

    return compute_logits


def _compute_by_image(
    module: ZoomoutNet, table: FeatureTable, device: str
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Return the same function for a table with blocks that have one row per image.

    The first layer multiplies such a row once per image, not once per superpixel. With
    VGG-16, the global level is a third of the columns, and so a third of the work of
    this layer. The sums are those of `_compute_by_row` in another order.
    """
    per_image = np.array([b.per_image for b in table.blocks for _ in b.columns])
    own, shared = (
        table.select([b.name for b in table.blocks if b.per_image is which])
        for which in (False, True)
    )
    multiply_own = module.first_product(np.flatnonzero(~per_image))
    multiply_shared = module.first_product(np.flatnonzero(per_image))
    bias = module.layers[0].get_parameter("bias")
    buffer = np.empty((_ROWS_AT_ONCE, own.n_columns), dtype=np.float32)

    def compute_logits(rows: NDArray[np.int64]) -> Tensor:
        x = torch.from_numpy(own.take(rows, out=buffer[: len(rows)]))
        x_shared = torch.from_numpy(shared.take(rows[:1]))
        if not math.isfinite(x.sum().item() + x_shared.sum().item()):
            check_finite(table, rows)
        product = multiply_own(x.to(device))
        product += multiply_shared(x_shared.to(device))
        return module.finish(product + bias)

    return compute_logits
