"""How an item of `Masks` becomes a mask, once it is decided what the labels are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._colors import RGB, label_colors
from ._files import Colors, Numbers, read_file
from ._labels import UNLABELED, is_small
from ._shapes import Drawing, paint


@dataclass(frozen=True)
class NumberRule:
    """Read files that hold a number for every pixel.

    Attributes
    ----------
    dtype : dtype
        That of the masks.
    """

    dtype: np.dtype[Any]

    def __call__(self, item: tuple[Path, dict[int, int] | None]) -> NDArray[Any]:
        """Return the mask of a file and the labels of its numbers, if others."""
        path, table = item
        content = as_numbers(read_file(path))
        values = content.values
        labels = values if table is None else _look_up(values, table)
        labels = labels.astype(self.dtype)
        if content.transparent is not None:
            labels[content.transparent] = UNLABELED
        return labels


@dataclass(frozen=True)
class ColorRule:
    """Read pictures in which every class has a color.

    Attributes
    ----------
    table : dict of RGB to int
        The labels of colors.
    strict : bool
        Whether an unknown color is an error.
    dtype : dtype
        That of the masks.
    """

    table: dict[RGB, int]
    strict: bool
    dtype: np.dtype[Any]

    def __call__(self, path: Path) -> NDArray[Any]:
        """Return the mask of a file."""
        return self.label(path)[0]

    def label(self, path: Path) -> tuple[NDArray[Any], int]:
        """Return the mask of a file, and the number of pixels of soft edges."""
        picture = as_colors(read_file(path))
        labels, n_soft = label_colors(
            picture, self.table, str(path), strict=self.strict
        )
        return labels.astype(self.dtype), n_soft


@dataclass(frozen=True)
class DrawingRule:
    """Draw the shapes of annotation programs.

    Attributes
    ----------
    labels : dict of str to int
        The labels of classes.
    background : int
        The label of pixels outside of all shapes.
    dtype : dtype
        That of the masks.
    """

    labels: dict[str, int]
    background: int
    dtype: np.dtype[Any]

    def __call__(self, drawing: Drawing) -> NDArray[Any]:
        """Return the mask of an image."""
        return paint(drawing, self.labels, self.background).astype(self.dtype)


def as_numbers(content: Numbers | Colors) -> Numbers:
    """Return a picture of grays as the numbers of its grays."""
    if isinstance(content, Numbers):
        return content
    return Numbers(content.rgb[..., 0], None, content.transparent)


def as_colors(content: Numbers | Colors) -> Colors:
    """Return numbers as the colors of their palette, or as grays."""
    if isinstance(content, Colors):
        return content
    if content.palette is not None:
        return Colors(content.palette[content.values], content.transparent)
    gray = np.clip(content.values, 0, 255).astype(np.uint8)
    return Colors(np.stack([gray] * 3, axis=-1), content.transparent)


def _look_up(values: NDArray[Any], table: dict[int, int]) -> NDArray[np.int64]:
    """Return the label of every number; those of transparent pixels may lack one."""
    if is_small(values):
        lowest = int(values.min())
        labels = np.full(int(values.max()) - lowest + 1, UNLABELED)
        for value, label in table.items():
            labels[value - lowest] = label
        return labels[values.astype(np.intp) - lowest]
    found, place = np.unique(values, return_inverse=True)
    labels = np.array([table.get(value, UNLABELED) for value in found.tolist()])
    return labels[place].reshape(values.shape)
