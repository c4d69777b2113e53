"""Weights that fine-tuning has changed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FineTunedWeights:
    """The weights of a network that fine-tuning has changed.

    Two are equal if they hold the same values.

    Attributes
    ----------
    origin : str
        Digest of the weights before training.
    values : dict of str to ndarray of float32
        The trained weights by their names in the network.
    sha256 : str
        Digest of all weights: of `origin` and of the values.
    """

    origin: str
    values: Mapping[str, NDArray[np.float32]] = field(compare=False, repr=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.origin.encode())
        for name, array in self.values.items():
            digest.update(f"{name} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        object.__setattr__(self, "sha256", digest.hexdigest())

    def put_into(self, module: "torch.nn.Module") -> None:
        """Replace the weights of a network that still has those of `origin`.

        Parameters
        ----------
        module : torch.nn.Module
            In float32. Its other weights are kept.
        """
        import torch

        parameters = dict(module.named_parameters())
        with torch.no_grad():
            for name, array in self.values.items():
                parameters[name].copy_(torch.tensor(array))
