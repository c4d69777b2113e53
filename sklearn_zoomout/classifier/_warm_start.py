"""What a fit with warm_start=True takes over from the fit before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._net import ZoomoutNet

#: Mean and standard deviation of every column, or None if rows are not standardized.
Moments = tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]


@dataclass(frozen=True)
class EarlierFit:
    """The network of an earlier fit, and what its weights mean.

    Attributes
    ----------
    module : ZoomoutNet
        The trained network.
    classes : ndarray of int64 of shape (n_classes,)
        The classes.
    columns : sequence of str
        The names of the columns.
    moments : tuple of two ndarray of shape (n_columns,), or of two None
        The means and deviations that standardized the columns.
    """

    module: "ZoomoutNet"
    classes: NDArray[np.int64]
    columns: Sequence[str]
    moments: Moments

    def fits(
        self, classes: NDArray[np.int64], columns: Sequence[str], units: Sequence[int]
    ) -> bool:
        """Tell whether a network of these hidden units can begin with its weights."""
        return (
            np.array_equal(self.classes, classes)
            and list(self.columns) == list(columns)
            and self.module.hidden_units == tuple(units)
        )

    def start(self, module: "ZoomoutNet", moments: Moments) -> None:
        """Set the weights of another network, so that it computes the same.

        Its rows are standardized by other moments, for which the weights of the first
        layer make up.

        Parameters
        ----------
        module : ZoomoutNet
            A network of the same layers.
        moments : tuple of two ndarray of shape (n_columns,), or of two None
            The means and deviations that standardize its columns.
        """
        import torch

        trained = self.module.layers.state_dict()
        state = {name: value.clone() for name, value in trained.items()}
        (old_mean, old_scale), (mean, scale) = map(_numbers, (self.moments, moments))
        weight = state["0.weight"].double()
        shift = torch.as_tensor((mean - old_mean) / old_scale).expand(weight.shape[1])
        state["0.bias"] += (weight @ shift).to(state["0.bias"].dtype)
        weight *= torch.as_tensor(scale / old_scale)
        state["0.weight"] = weight.to(state["0.weight"].dtype)
        module.layers.load_state_dict(state)


def recall_fit(classifier: Any) -> EarlierFit | None:
    """Return the earlier fit of a `ZoomoutClassifier`, if it is to begin with it."""
    if not classifier.warm_start or not hasattr(classifier, "net_"):
        return None
    return EarlierFit(
        classifier.net_.module_,
        classifier.classes_,
        classifier.feature_names_in_,
        (classifier.mean_, classifier.scale_),
    )


def _numbers(moments: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, scale = moments
    if mean is None or scale is None:
        return np.zeros(1), np.ones(1)
    return mean, scale
