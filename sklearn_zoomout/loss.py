"""The loss of equation (2), and the weights of the classes in it."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .exceptions import AbsentClassWarning, LostClassWarning

if TYPE_CHECKING:
    from torch import Tensor

    from .labels import LabeledRows


def weighted_log_loss(
    logits: "Tensor", targets: "Tensor", weight: "Tensor"
) -> "Tensor":
    """Compute the loss of equation (2), the mean over N rows of w(y) * -log p(y).

    The paper's asymmetric loss has the weights w(c) = 1 / f(c), where f(c) is the
    frequency of class c. The symmetric loss has all weights 1. The sum is divided by
    the number of rows N. `torch.nn.CrossEntropyLoss` divides by the sum of the weights
    instead, so that in a batch of one class the weight has no effect.

    Parameters
    ----------
    logits : tensor of float of shape (N, n_classes)
        The scores before the softmax.
    targets : tensor of int64 of shape (N,)
        The classes of the rows.
    weight : tensor of float of shape (n_classes,)
        The weight of every class.

    Returns
    -------
    tensor of float of shape ()
        0 if N is 0.

    Examples
    --------
    >>> import torch
    >>> from sklearn_zoomout.loss import weighted_log_loss
    >>> targets = torch.tensor([1, 1, 1])
    >>> weight = torch.tensor([2.0, 4.0])
    >>> float(weighted_log_loss(torch.zeros(3, 2), targets, weight))  # 4 log 2
    2.77...
    """
    from torch.nn.functional import cross_entropy

    total = cross_entropy(logits, targets, weight.to(logits.dtype), reduction="sum")
    return total / max(len(targets), 1)


def class_weights(
    class_weight: str | float | Mapping[int, float] | None,
    classes: NDArray[np.int64],
    frequency: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the weights of the classes in the loss (section 2.2).

    Parameters
    ----------
    class_weight : "balanced", float, None or mapping
        "balanced" is one over the frequency of the class. None is 1 for all classes. A
        number a in 0..1 is one over the frequency to the power a. A mapping has the
        weights of the classes. A class that it does not list has the weight 1.
    classes : ndarray of int64 of shape (n_classes,)
        The classes.
    frequency : ndarray of float64 of shape (n_classes,)
        Their shares of the training superpixels.

    Returns
    -------
    ndarray of float64 of shape (n_classes,)
        0 for a class without a superpixel.

    Raises
    ------
    ValueError
        If fewer than two classes have a superpixel, or a mapping names a class that
        does not exist or has a weight that is negative or not finite.

    Warns
    -----
    AbsentClassWarning
        If a class has no superpixel.
    """
    present = frequency > 0
    check_class_weight(class_weight, classes, present)
    if not present.all():
        absent = _name_absent(classes, present)
        warnings.warn(absent, AbsentClassWarning, stacklevel=3)
    if isinstance(class_weight, Mapping):
        return _mapped_weights(class_weight, classes) * present
    named: dict[Any, float] = {"balanced": 1.0, None: 0.0}
    exponent: Any = named.get(class_weight, class_weight)
    return np.where(present, frequency, np.inf) ** -exponent * present


def check_class_weight(
    class_weight: "str | float | Mapping[int, float] | None",
    classes: NDArray[np.int64],
    present: NDArray[np.bool_],
) -> None:
    """Refuse weights and classes as `class_weights` does.

    Parameters
    ----------
    class_weight : "balanced", float, None or mapping
        See `class_weights`.
    classes : ndarray of int64 of shape (n_classes,)
        The classes.
    present : ndarray of bool of shape (n_classes,)
        Which classes have a superpixel, or may have one.

    Raises
    ------
    ValueError
        See `class_weights`.
    """
    if present.sum() < 2:
        unlabeled = "if it marks unlabeled pixels, turn it into -1 with mark_unlabeled."
        raise ValueError(
            "masks: expected superpixels of at least two classes to train on, got only "
            f"class {classes[present][0]}; "
            f"{unlabeled if present.all() else _name_absent(classes, present)}"
        )
    if isinstance(class_weight, Mapping):
        _mapped_weights(class_weight, classes)


def _name_absent(classes: NDArray[np.int64], present: NDArray[np.bool_]) -> str:
    return (
        f"classes {classes[~present].tolist()} have no superpixel in the training "
        "data, so they are not learned: they do not occur, or have the majority in no "
        "superpixel; a larger n_segments, or a smaller segment_area, makes smaller "
        "superpixels."
    )


def _mapped_weights(
    class_weight: Mapping[int, float], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    unknown = [key for key in class_weight if key not in classes.tolist()]
    if unknown:
        raise ValueError(
            f"class_weight: expected weights of the classes {classes.tolist()}, got "
            f"{unknown}."
        )
    weight = np.array([class_weight.get(c, 1.0) for c in classes.tolist()], np.float64)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError(
            "class_weight: expected finite weights >= 0, not all of them 0, got "
            f"{dict(class_weight)}."
        )
    return weight


def warn_of_lost_classes(labeled: "LabeledRows") -> None:
    """Warn of classes of which most pixels are in superpixels of other classes.

    Parameters
    ----------
    labeled : LabeledRows
        The labels of the superpixels.

    Warns
    -----
    LostClassWarning
        If a class that has superpixels keeps less than half of its pixels.
    """
    # `class_weights` warns of classes without any superpixel.
    lost = (labeled.kept < 0.5) & (labeled.kept > 0)
    if not lost.any():
        return
    shares = ", ".join(
        f"{label} keeps {kept:.0%}"
        for label, kept in zip(labeled.classes[lost], labeled.kept[lost], strict=True)
    )
    warnings.warn(
        f"masks: class {shares} of its pixels in the vote of the superpixels, which "
        "have one label each; the others are learned as the classes around them. A "
        "larger n_segments, or a smaller segment_area, makes smaller superpixels, and "
        "PixelFusion (pixels=True) labels single pixels.",
        LostClassWarning,
        stacklevel=3,
    )
