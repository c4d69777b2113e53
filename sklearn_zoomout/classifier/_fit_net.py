"""From labeled rows to a trained network; needs torch."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.threads import limit_after_fork, one_thread
from ..labels import LabeledRows
from ..table import FeatureTable
from ._batches import TableRows
from ._checkpoints import open_checkpoint
from ._linear import fit_linear
from ._progress import report
from ._schedule import choose_hidden_units, count_epochs, is_convex, is_small_step
from ._training import make_net, tidy, train_net
from ._warm_start import EarlierFit, Moments


def fit_net(
    params: Mapping[str, Any],
    table: FeatureTable,
    train: LabeledRows,
    valid: LabeledRows | None,
    *,
    class_weight: NDArray[np.float64],
    moments: Moments,
    seed: int,
    earlier: EarlierFit | None,
) -> dict[str, Any]:
    """Choose, train and describe a network.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    table : FeatureTable
        The features.
    train : LabeledRows
        The rows to learn from.
    valid : LabeledRows or None
        The rows on which to compute ``valid_loss``.
    class_weight : ndarray of float64 of shape (n_classes,)
        The weight of every class.
    moments : tuple of two ndarray of shape (n_columns,), or of two None
        The means and deviations that standardize the columns.
    seed : int
        Seed of the first weights, of dropout and of the order of the rows.
    earlier : EarlierFit or None
        The fit with whose weights to begin, if it has the same classes and columns.

    Returns
    -------
    dict
        The attributes ``hidden_units_``, ``net_`` and ``history_``.
    """
    limit_after_fork()
    n_rows, n_images = len(train.rows), len(np.unique(train.images))
    units = choose_hidden_units(params, n_rows)
    convex = is_convex(params, units, table)
    if earlier is not None and not earlier.fits(train.classes, table.columns, units):
        earlier = None
    warm = earlier is not None
    widths = [table.n_columns, *units, len(train.classes)]
    small = is_small_step(min(n_rows, params["batch_size"]), widths)
    train_rows = TableRows(table, train.rows, train.codes)
    valid_rows = None if valid is None else TableRows(table, valid.rows, valid.codes)
    with one_thread() if convex or small else contextlib.nullcontext():
        net = make_net(
            params,
            n_features=table.n_columns,
            hidden_units=units,
            class_weight=class_weight,
            moments=moments,
            max_epochs=count_epochs(params, n_rows, n_images, warm=warm),
            seed=seed,
        )
        if earlier is not None:
            earlier.start(net.module_, moments)
        what = "linear softmax" if convex else f"{net.max_epochs} epochs"
        with report(f"{what} of {n_rows} superpixels", net.history, params["verbose"]):
            if convex:
                fit_linear(net, train_rows, valid_rows, moments, warm=warm)
            else:
                checkpoint = open_checkpoint(
                    params,
                    net,
                    train_rows,
                    valid_rows,
                    earlier,
                    hidden_units=units,
                    class_weight=class_weight,
                    classes=train.classes,
                    moments=moments,
                    seed=seed,
                )
                train_net(net, train_rows, valid_rows, params["schedule"], checkpoint)
    tidy(net)
    history = [
        {key: value for key, value in epoch.items() if key != "batches"}
        for epoch in net.history
    ]
    return {"hidden_units_": units, "net_": net, "history_": history}
