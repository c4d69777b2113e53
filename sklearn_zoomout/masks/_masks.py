"""`Masks`: masks in files, and what was decided about their labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.lazy import LazySequence
from ._colors import RGB
from ._labels import UNLABELED

# As many labels are shown as there are colors in the figures.
_SHOWN = 21


class Masks(LazySequence):
    """A sequence of masks in files, and what their labels mean.

    `read_masks` makes one. An integer index reads a mask; a slice, a list or an array
    of indices returns a shorter sequence. Its printed form lists the labels and says
    what was decided.

    Parameters
    ----------
    read : callable
        Returns the mask of one of ``items``.
    items : sequence
        What the masks are read from.
    shares : mapping of int to float
        The share of the pixels that every label has in all masks, -1 included.
    names : mapping of int to str
        The names of labels.
    colors : mapping of int to tuple of 3 int
        The colors of labels, RGB.
    unlabeled : sequence
        What marks unlabeled pixels in the files.
    notes : sequence of str
        What else was decided.

    Attributes
    ----------
    labels : list of int
        The labels that occur in all masks, sorted.
    shares : dict of int to float
        The share of the pixels that every label has, -1 for unlabeled pixels included.
    names : dict of int to str
        The names of labels, as far as the files or the caller give them.
        `plotting.SegmentationDisplay` takes them as ``class_names``.
    colors : dict of int to tuple of 3 int
        The colors of labels in the files, RGB, as far as they have any. `write_labels`
        takes them as ``colors``.
    unlabeled : tuple
        What marks unlabeled pixels in the files: labels, colors, names of classes,
        "transparent" or "outside of shapes". It is empty if nothing does.
    notes : tuple of str
        What else was decided, in sentences.

    See Also
    --------
    read_masks : Read the masks of many images.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_zoomout import read_masks, write_labels
    >>> folder = tempfile.TemporaryDirectory()
    >>> labels = np.array([[0, 1, -1, -1]])
    >>> write_labels(f"{folder.name}/a.png", labels, names=["sky", "tree"])
    >>> masks = read_masks(folder.name)
    >>> masks
    Masks(1 mask, not in memory)
      0 'sky' #56b4e9: 25.0 % of the pixels
      1 'tree' #009e73: 25.0 % of the pixels
      unlabeled, by 255: 50.0 % of the pixels
    >>> masks.names
    {0: 'sky', 1: 'tree'}
    >>> folder.cleanup()
    """

    def __init__(
        self,
        read: Callable[[Any], NDArray[Any]],
        items: Sequence[Any],
        *,
        shares: Mapping[int, float],
        names: Mapping[int, str],
        colors: Mapping[int, RGB],
        unlabeled: Sequence[Any] = (),
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(read, items)
        self.shares = dict(sorted(shares.items()))
        self.labels = [label for label in self.shares if label != UNLABELED]
        self.names = dict(sorted(names.items()))
        self.colors = dict(sorted(colors.items()))
        self.unlabeled = tuple(unlabeled)
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        masks = "1 mask" if len(self) == 1 else f"{len(self)} masks"
        lines = [f"{type(self).__name__}({masks}, not in memory)"]
        for label in self.labels[:_SHOWN]:
            name = f" {self.names[label]!r}" if label in self.names else ""
            color = (
                f" {hexadecimal(self.colors[label])}" if label in self.colors else ""
            )
            lines.append(f"{label}{name}{color}: {_percent(self.shares[label])}")
        if len(self.labels) > _SHOWN:
            lines.append(f"and {len(self.labels) - _SHOWN} more labels")
        share = self.shares.get(UNLABELED, 0.0)
        marks = " and ".join(map(str, self.unlabeled))
        if marks:
            lines.append(f"unlabeled, by {marks}: {_percent(share)}")
        elif share:
            lines.append(f"unlabeled: {_percent(share)}")
        else:
            lines.append("no pixel is unlabeled; every label is a class")
        return "\n  ".join([*lines, *self.notes])


def hexadecimal(color: RGB) -> str:
    """Return a color as in HTML."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def smallest_type(labels: Sequence[int]) -> np.dtype[Any]:
    """Return the smallest signed type that holds labels and -1."""
    return np.dtype(np.min_scalar_type(-max([0, *labels]) - 1))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} % of the pixels"
