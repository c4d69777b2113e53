"""Checkpoints of the training of the network; needs torch."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, PassthroughScoring

from .._utils.checkpoints import Checkpoint, Progress, arrays_of, put_arrays
from .._utils.digests import digest_array
from ..table import FeatureTable
from ._batches import TableRows
from ._warm_start import EarlierFit

# Parameters that do not change the weights, or count by what was made of them.
_NOT_IN_NAME = {
    "callbacks",
    "checkpoint",
    "class_weight",
    "classes",
    "device",
    "estimator",
    "random_state",
    "verbose",
    "warm_start",
}
_DROPOUT, _BEST = "dropout", "best_model_weights_"


def open_checkpoint(
    params: Mapping[str, Any],
    net: NeuralNet,
    train: TableRows,
    valid: TableRows | None,
    earlier: EarlierFit | None,
    **depends_on: Any,
) -> Checkpoint | None:
    """Return the checkpoint of a training.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    net : NeuralNet
        The net, with its first weights.
    train : TableRows
        The rows to learn from.
    valid : TableRows or None
        The rows on which to compute ``valid_loss``.
    earlier : EarlierFit or None
        The fit with whose weights the net begins.
    **depends_on
        What else decides the weights.

    Returns
    -------
    Checkpoint or None
        None if there is no folder for it.
    """
    if params["checkpoint"] is None:
        return None
    stopping = [
        [type(callback).__qualname__, callback.get_params()]
        for _, callback in net.callbacks_
        if isinstance(callback, EarlyStopping)
    ]
    rows = [(part.rows, part.targets) for part in (train, valid) if part is not None]
    return Checkpoint(
        params["checkpoint"],
        "classifier",
        {
            "params": {k: v for k, v in params.items() if k not in _NOT_IN_NAME},
            "max_epochs": net.max_epochs,
            "stopping": stopping,
            "table": _digest_table(train.table),
            "rows": [digest_array(array) for pair in rows for array in pair],
            "weights": net.module_ if earlier is not None else None,
            **depends_on,
        },
        device=params["device"],
        every=math.ceil(len(train) / net.batch_size),
        verbose=params["verbose"],
    )


def _digest_table(table: FeatureTable) -> str:
    """Return a digest of all features and of the places of their images."""
    digest = hashlib.sha256(" ".join(table.columns).encode())
    digest.update(digest_array(table.superpixels.row_offsets).encode())
    for rows in table.batches():
        digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


class KeepProgress(Callback):
    """Write checkpoints of a training, and go on from the one that is there.

    Parameters
    ----------
    checkpoint : Checkpoint
        The file.
    n_batches : int
        Number of steps of an epoch.

    Attributes
    ----------
    found : Progress or None
        How far an earlier training has come.
    """

    def __init__(self, checkpoint: Checkpoint, n_batches: int) -> None:
        self.checkpoint, self.n_batches = checkpoint, n_batches
        self.found = checkpoint.load()
        self.step = 0 if self.found is None else self.found.step
        self._to_restore = self.found

    def go_on(self, net: NeuralNet) -> tuple[int, int]:
        """Set a net as it was.

        Parameters
        ----------
        net : NeuralNet
            The net, with its first weights.

        Returns
        -------
        n_epochs : int
            Number of epochs that are finished.
        n_skipped : int
            Number of steps of the next one that are done.
        """
        if self.found is None:
            return 0, 0
        put_arrays(net.optimizer_, self.found.arrays)
        epochs = self.found.facts["history"]
        if self.found.finished:
            net.history.extend(epochs)
            return net.max_epochs, 0
        net.history.extend(epochs[:-1])
        net.iterator_train__rng.bit_generator.state = self.found.facts["order"]
        generator = net.module_.generator(torch.device(net.device))
        generator.set_state(torch.from_numpy(self.found.arrays[_DROPOUT]))
        return len(net.history), len(epochs[-1]["batches"])

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember how the order of the epoch is drawn; restore one that was begun."""
        self._order = net.iterator_train__rng.bit_generator.state
        if self._to_restore is None:
            return
        found, self._to_restore = self._to_restore, None
        net.history[-1]["batches"] = found.facts["history"][-1]["batches"]
        for name, callback in _with_state(net):
            vars(callback).update(found.facts["callbacks"].get(name, {}))
            prefix = f"{_BEST}/{name}/"
            best = {
                key.removeprefix(prefix): torch.from_numpy(array).to(net.device)
                for key, array in found.arrays.items()
                if key.startswith(prefix)
            }
            if best:
                callback.best_model_weights_ = best

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Write a checkpoint after some steps."""
        if training:
            self.step += 1
            if self.checkpoint.is_due(self.step):
                self._write(net)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Count the steps that were done before too."""
        net.history.record("train_batch_count", self.n_batches)

    def finish(self, net: NeuralNet) -> None:
        """Write the trained weights."""
        arrays = arrays_of(net.optimizer_, finished=True)
        facts = {"history": _without_batches(net.history)}
        self.checkpoint.write(Progress(self.step, True, arrays, facts))

    def _write(self, net: NeuralNet) -> None:
        generator = net.module_.generator(torch.device(net.device))
        arrays = arrays_of(net.optimizer_) | {_DROPOUT: generator.get_state().numpy()}
        states = {}
        for name, callback in _with_state(net):
            states[name] = {
                key: value
                for key, value in vars(callback).items()
                if key.endswith("_") and isinstance(value, (int, float, str))
            }
            for key, value in (getattr(callback, _BEST, None) or {}).items():
                arrays[f"{_BEST}/{name}/{key}"] = value.cpu().numpy()
        *before, last = net.history
        facts = {
            "history": [*_without_batches(before), last],
            "order": self._order,
            "callbacks": states,
        }
        self.checkpoint.write(Progress(self.step, False, arrays, facts))


def _with_state(net: NeuralNet) -> Iterator[tuple[str, Any]]:
    """Yield the callbacks, with their names, whose state decides what follows."""
    for name, callback in net.callbacks_:
        if isinstance(callback, (EarlyStopping, PassthroughScoring)):
            yield name, callback


def _without_batches(epochs: Any) -> list[dict[str, Any]]:
    return [{**epoch, "batches": []} for epoch in epochs]
