"""The network, and the module of its loss; needs torch."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ..loss import weighted_log_loss
from ._standardization import CLIP


class WeightedLogLoss(nn.Module):
    """`weighted_log_loss`, the loss of equation (2), as a module that skorch takes.

    Parameters
    ----------
    weight : array-like of shape (n_classes,)
        The weight of every class.
    """

    weight: Tensor

    def __init__(self, weight: ArrayLike) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(np.asarray(weight)))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, n_classes) and targets (N,)."""
        return weighted_log_loss(logits, target, self.weight)


class ZoomoutNet(nn.Module):
    """A feedforward network on standardized features (section 4.3).

    Parameters
    ----------
    n_features : int
        Number of columns.
    hidden_units : sequence of int
        Width of every hidden layer of ReLU units. () is a linear softmax.
    n_classes : int
        Number of classes.
    dropout : float, default=0.0
        Share of hidden units that are dropped in training.
    mean, scale : array-like of shape (n_features,), default=None
        Mean and standard deviation that standardize the features. None leaves them as
        they are.
    random_state : int, default=0
        Seed of the first weights and of dropout. The global generator of torch is not
        used.
    """

    shift: Tensor
    factor: Tensor

    def __init__(
        self,
        n_features: int,
        hidden_units: Sequence[int],
        n_classes: int,
        dropout: float = 0.0,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__()
        self.hidden_units = tuple(hidden_units)
        self.n_classes = n_classes
        self.dropout = dropout
        self.random_state = random_state
        self.standardize = mean is not None and scale is not None
        if self.standardize:
            factor = 1 / np.asarray(scale, dtype=np.float64)
            shift = -np.asarray(mean, dtype=np.float64) * factor
            self.register_buffer("factor", torch.tensor(factor, dtype=torch.float32))
            self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))
        widths = [n_features, *hidden_units, n_classes]
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, n_in, n_out)
            for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
        )
        self._init_weights()
        self._generators: dict[torch.device, torch.Generator] = {}

    def _init_weights(self) -> None:
        # The default of torch.nn.Linear, but from a generator of our own.
        generator = torch.Generator().manual_seed(self.random_state)
        for layer in self.layers:
            bound = 1 / math.sqrt(next(layer.parameters()).shape[1])
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, n_classes) of rows (N, n_features)."""
        if self.standardize:
            x = _standardize(x, self.shift, self.factor)
        return self.finish(self.layers[0](x))

    def finish(self, first: Tensor) -> Tensor:
        """Compute the logits from the output of the first layer, (N, its width)."""
        for layer in self.layers[1:]:
            first = layer(self._drop(torch.relu(first)))
        return first

    def first_product(self, columns: NDArray[Any]) -> Callable[[Tensor], Tensor]:
        """Return the function that multiplies some columns by their weights.

        The sum over all columns, plus the bias, is the output of the first layer.

        Parameters
        ----------
        columns : ndarray of integers of shape (n,)
            Positions of the columns.

        Returns
        -------
        callable
            Maps the columns of rows, (N, n), to their part of the output of the first
            layer, (N, its width).
        """
        weight = self.layers[0].get_parameter("weight").T
        # Runs of neighboring columns, whose weights need not be copied.
        breaks = np.flatnonzero(np.diff(columns) != 1) + 1
        bounds = [0, *breaks.tolist(), len(columns)]
        runs = [
            (slice(i, j), weight[columns[i] : columns[i] + j - i])
            for i, j in itertools.pairwise(bounds)
            if i < j
        ]
        shift = self.shift[columns] if self.standardize else None
        factor = self.factor[columns] if self.standardize else None

        def multiply(x: Tensor) -> Tensor:
            if shift is not None and factor is not None:
                x = _standardize(x, shift, factor)
            product = x.new_zeros(len(x), weight.shape[1])
            for run, of_run in runs:
                product.addmm_(x[:, run], of_run)
            return product

        return multiply

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return x
        kept = torch.empty_like(x).bernoulli_(
            1 - self.dropout, generator=self.generator(x.device)
        )
        return x * kept / (1 - self.dropout)

    def generator(self, device: torch.device) -> torch.Generator:
        """Return the generator of dropout on a device."""
        if device not in self._generators:
            generator = torch.Generator(device).manual_seed(self.random_state)
            self._generators[device] = generator
        return self._generators[device]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_generators": {}}


def _standardize(x: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
    return torch.addcmul(shift, x, factor).clamp_(-CLIP, CLIP)
