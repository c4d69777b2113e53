"""What the pixels of an output mean, and the type that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Pillow has no larger integers.
_HIGHEST = 2**31 - 2


@dataclass(frozen=True)
class Layout:
    """The shape and type of an output, and the names and colors of its classes.

    Parameters
    ----------
    kind : {"labels", "probabilities"}
        What the values are.
    shape : tuple of int
        Height and width, and the number of classes of probabilities.
    dtype : numpy.dtype
        Of the stored values.
    classes : ndarray of int64 of shape (n_classes,)
        The labels of the classes.
    names : list of str or None
        Their names.
    colors : ndarray of uint8 of shape (n_classes, 3) or None
        Their colors.
    unlabeled : int or None
        What is stored for pixels without a label; None if there are none, and for
        probabilities.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    classes: NDArray[np.int64]
    names: list[str] | None
    colors: NDArray[np.uint8] | None
    unlabeled: int | None

    @property
    def fill(self) -> int | float | None:
        """What is stored where there is no data."""
        return self.unlabeled if self.kind == "labels" else float("nan")

    @property
    def band_names(self) -> list[str]:
        """The names of the classes, or their labels."""
        return self.names or [str(label) for label in self.classes]


def check_classes(classes: Any) -> NDArray[np.int64]:
    """Check the labels of the classes.

    Parameters
    ----------
    classes : array-like of int of shape (n_classes,)
        The labels.

    Returns
    -------
    ndarray of int64 of shape (n_classes,)

    Raises
    ------
    ValueError
        Unless they are distinct integers from 0 on.
    """
    labels = np.asarray(classes)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iub":
        raise ValueError(
            "classes: expected the integer labels of the classes, such as "
            f"classifier.classes_, got {classes!r:.60}."
        )
    if labels.min() < 0 or labels.max() > _HIGHEST:
        raise ValueError(
            f"classes: expected labels in 0..{_HIGHEST}, got {labels.min()}.."
            f"{labels.max()}."
        )
    if len(np.unique(labels)) < len(labels):
        raise ValueError(f"classes: expected distinct labels, got {labels.tolist()}.")
    return labels.astype(np.int64)


def check_names(names: Sequence[str] | None, n_classes: int) -> list[str] | None:
    """Check the names of the classes.

    Parameters
    ----------
    names : sequence of str or None
        The names.
    n_classes : int
        Their expected number.

    Returns
    -------
    list of str or None

    Raises
    ------
    ValueError
        If there is not one name per class.
    """
    if names is None:
        return None
    if isinstance(names, str) or len(names) != n_classes:
        raise ValueError(f"names: expected {n_classes} names, got {names!r:.60}.")
    return [str(name) for name in names]


def check_colors(colors: Any, n_classes: int) -> NDArray[np.uint8] | None:
    """Check the colors of the classes.

    Parameters
    ----------
    colors : array-like of int of shape (n_classes, 3), or None
        RGB in 0..255.
    n_classes : int
        Their expected number.

    Returns
    -------
    ndarray of uint8 of shape (n_classes, 3), or None

    Raises
    ------
    ValueError
        If there is not one color per class.
    """
    if colors is None:
        return None
    table = np.asarray(colors)
    whole = table.shape == (n_classes, 3) and table.dtype.kind in "iu"
    if not whole or table.min() < 0 or table.max() > 255:
        raise ValueError(
            f"colors: expected RGB colors in 0..255 of shape ({n_classes}, 3), got "
            f"dtype {table.dtype} and shape {table.shape}."
        )
    return table.astype(np.uint8)


def check_unlabeled(unlabeled: int | None, classes: NDArray[np.int64]) -> int | None:
    """Check the value that is stored for pixels without a label.

    Parameters
    ----------
    unlabeled : int or None
        The value, if it was given.
    classes : ndarray of int64 of shape (n_classes,)
        The labels of the classes.

    Returns
    -------
    int or None

    Raises
    ------
    ValueError
        If it is no integer, or one of the classes.
    """
    if unlabeled is None:
        return None
    if not isinstance(unlabeled, Integral) or isinstance(unlabeled, bool):
        raise ValueError(f"unlabeled: expected an integer, got {unlabeled!r}.")
    if unlabeled in classes:
        raise ValueError(
            f"unlabeled: expected a value that is no class, got {unlabeled}; leave it "
            "out for the largest value of the type."
        )
    return int(unlabeled)


def smallest_type(
    classes: NDArray[np.int64], unlabeled: int | None, *, may_lack: bool = True
) -> tuple["np.dtype[Any]", int | None]:
    """Choose the smallest type of integers that holds the labels.

    Parameters
    ----------
    classes : ndarray of int64 of shape (n_classes,)
        The labels of the classes.
    unlabeled : int or None
        The value of pixels without a label. None chooses the largest one of the type.
    may_lack : bool, default=True
        Whether there may be such pixels.

    Returns
    -------
    dtype : numpy.dtype
        Unsigned, or signed if ``unlabeled`` is negative.
    unlabeled : int or None
        The value of pixels without a label.
    """
    highest = int(classes.max())
    if unlabeled is not None:
        highest = max(highest, unlabeled)
    names = ("i1", "i2", "i4") if (unlabeled or 0) < 0 else ("u1", "u2", "u4")
    for name in names:
        info = np.iinfo(name)
        if unlabeled is None and may_lack:
            if highest < info.max:
                return np.dtype(name), int(info.max)
        elif highest <= info.max and (unlabeled or 0) >= info.min:
            return np.dtype(name), unlabeled
    raise ValueError(
        f"unlabeled: expected a value of {names[-1]}, got {unlabeled} with the highest "
        f"class {int(classes.max())}."
    )
