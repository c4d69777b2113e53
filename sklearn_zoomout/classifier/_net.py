"""The network and the loss of equation (2); needs torch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ..loss import weighted_log_loss
from ._standardization import CLIP


class InverseFrequencyLoss(nn.Module):
    """The loss of equation (2), the mean over N rows of w(y) * -log p(y).

    With w(c) = 1 / f(c), f the frequencies of the classes, this is the paper's
    asymmetric loss; with all weights 1 its symmetric one. The sum is divided by the
    number of rows N, where `torch.nn.CrossEntropyLoss` divides by the sum of their
    weights, which would cancel the weight of a batch of one class.

    Parameters
    ----------
    weight : array-like of shape (n_classes,)
        The weight of every class.

    Examples
    --------
    >>> import torch
    >>> from sklearn_zoomout.classifier._net import InverseFrequencyLoss
    >>> loss = InverseFrequencyLoss([2.0, 4.0])
    >>> float(loss(torch.zeros(3, 2), torch.tensor([1, 1, 1])))  # 4 log 2
    2.77...
    """

    weight: Tensor

    def __init__(self, weight: ArrayLike) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(np.asarray(weight)))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of logits (N, n_classes) and targets (N,); 0 if N is 0."""
        return weighted_log_loss(logits, target, self.weight)


class ZoomoutNet(nn.Module):
    """A feedforward network on standardized features (section 4.3).

    Parameters
    ----------
    n_features : int
        Number of columns.
    hidden_units : sequence of int
        Width of every hidden layer of ReLU units; none is a linear softmax.
    n_classes : int
        Number of classes.
    dropout : float, default=0.0
        Share of hidden units that are dropped in training.
    mean, scale : array-like of shape (n_features,), default=None
        What standardizes the features; None leaves them as they are.
    random_state : int, default=0
        Seed of the first weights and of dropout. torch's own global generator is
        neither read nor moved.
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
        # What torch.nn.Linear does by default, from a generator of our own.
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
        """Return the product of the first layer with some of the columns.

        Parameters
        ----------
        columns : ndarray of integers of shape (n,)
            Which of the n_features columns.

        Returns
        -------
        callable
            Turns these columns of rows, (N, n), into their part of the product,
            (N, width of the first layer). The sum of the parts of all columns and of
            the bias is what `finish` takes.
        """
        weight = self.layers[0].get_parameter("weight")[:, columns].T
        if not self.standardize:
            return lambda x: x @ weight
        shift, factor = self.shift[columns], self.factor[columns]
        return lambda x: _standardize(x, shift, factor) @ weight

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return x
        if x.device not in self._generators:
            generator = torch.Generator(x.device).manual_seed(self.random_state)
            self._generators[x.device] = generator
        kept = torch.empty_like(x).bernoulli_(
            1 - self.dropout, generator=self._generators[x.device]
        )
        return x * kept / (1 - self.dropout)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_generators": {}}


def _standardize(x: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
    return torch.addcmul(shift, x, factor).clamp_(-CLIP, CLIP)
