"""Shapes that annotation programs store, and how they become pixels."""

import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import draw

from .._utils.foreign_files import FileError, check_size
from ._runs import crop

# As labelme draws them: lines 10 pixels wide, points with a radius of 5.
_LINE_WIDTH = 10
_POINT_RADIUS = 5
# cv2 takes coordinates in 1/16 of a pixel.
_BITS = 4
# Pixels. Coordinates further away are mistakes, and would overflow.
_FARTHEST = 10**7
# Shapes are painted in int32.
_LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class Patch:
    """The pixels of an object, compressed: one file can declare many large ones.

    Attributes
    ----------
    bits : bytes
        The packed pixels, compressed by zlib.
    shape : tuple of int
        Height and width.
    """

    bits: bytes
    shape: tuple[int, ...]

    @classmethod
    def of(cls, inside: NDArray[np.bool_]) -> "Patch":
        """Compress pixels."""
        return cls(zlib.compress(np.packbits(inside).tobytes(), 1), inside.shape)

    def unpack(self) -> NDArray[np.bool_]:
        """Return the pixels, bool of shape (height, width)."""
        packed = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(packed, count=count).view(bool).reshape(self.shape)


@dataclass(frozen=True)
class Shape:
    """One annotated object.

    Attributes
    ----------
    label : str
        Its class.
    kind : {"polygon", "line", "points", "pixels"}
        What `points` are: corners of an area, of a line, single points, or the upper
        left pixel of `patch`.
    points : ndarray of float64 of shape (n_points, 2)
        Positions x, y in pixels. The upper left pixel reaches from (0, 0) to (1, 1).
    patch : Patch or None
        The pixels of the object.

    Raises
    ------
    ValueError
        If positions are no pairs, not finite, or 10,000,000 pixels away.
    """

    label: str
    kind: str
    points: NDArray[np.float64]
    patch: Patch | None = None

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise ValueError(
                f"expected pairs of positions x, y of {self.label!r:.60}, got an array "
                f"of shape {self.points.shape}"
            )
        if not (np.abs(self.points) < _FARTHEST).all():
            raise ValueError(
                f"expected positions x, y in pixels of {self.label!r:.60}, got one "
                f"that is not finite or at least {_FARTHEST} pixels away"
            )


@dataclass(frozen=True)
class Drawing:
    """The annotated objects of one image.

    Attributes
    ----------
    file : str
        The annotation file, for errors.
    name : str
        The name of the image, or of the file that holds its shapes alone.
    shape : tuple of int
        Height and width of the image.
    shapes : list of Shape
        In the order in which they are drawn.
    numbers : dict of str to int
        The number that the program gives to each class, if it does.
    colors : dict of str to str
        The color of each class, if the program has one.

    Raises
    ------
    FileError
        If a number is too large for a label.
    """

    file: str
    name: str
    shape: tuple[int, int]
    shapes: list[Shape]
    numbers: dict[str, int] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, number in self.numbers.items():
            if abs(number) > _LARGEST_NUMBER:
                raise FileError(
                    f"{self.file}: expected numbers of classes up to {_LARGEST_NUMBER},"
                    f" got {number!r:.20} for {name!r:.60}; export it again."
                )


def check_image(file: object, name: object, height: Any, width: Any) -> tuple[int, int]:
    """Return the size of an annotated image, if it is one that may be painted.

    Parameters
    ----------
    file : object
        The annotation file, for errors.
    name : object
        The image.
    height, width : object
        What the file says.

    Returns
    -------
    tuple of int
        Height and width.

    Raises
    ------
    FileError
        If they are no positive integers, or are more pixels than allowed.
    """
    try:
        size = int(height), int(width)
    except (TypeError, ValueError, OverflowError):
        raise FileError(
            f"{file}, image {name!r:.60}: expected height and width, got "
            f"{height!r:.60} and {width!r:.60}; export it again."
        ) from None
    check_size(f"{file}, image {name!r:.60}", *size)
    return size


def polygon(label: str, points: Any) -> Shape:
    """Return an area by its corners, of shape (n_points, 2) or flat."""
    return Shape(label, "polygon", np.asarray(points, np.float64).reshape(-1, 2))


def rectangle(
    label: str, left: float, top: float, width: float, height: float
) -> Shape:
    """Return an upright rectangle."""
    right, bottom = left + width, top + height
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return polygon(label, corners)


def ellipse(label: str, x: float, y: float, x_radius: float, y_radius: float) -> Shape:
    """Return an upright ellipse, as a polygon of 128 corners."""
    angles = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    points = np.stack([x + x_radius * np.cos(angles), y + y_radius * np.sin(angles)])
    return polygon(label, points.T)


def pixels(label: str, inside: NDArray[Any], corner: tuple[int, int] = (0, 0)) -> Shape:
    """Return an object by its pixels; `corner` is the row and column of the first."""
    patch, (row, column) = crop(inside)
    place = np.array([[column + corner[1], row + corner[0]]], dtype=np.float64)
    return Shape(label, "pixels", place, Patch.of(patch))


def turn(shape: Shape, degrees: float, x: float, y: float) -> Shape:
    """Turn a shape clockwise around a point."""
    if not degrees:
        return shape
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    return replace(shape, points=(shape.points - (x, y)) @ matrix + (x, y))


def paint(drawing: Drawing, labels: dict[str, int], background: int) -> NDArray[Any]:
    """Draw all shapes of an image, the later above the earlier.

    A pixel belongs to an area if its center does.

    Parameters
    ----------
    drawing : Drawing
        The shapes.
    labels : dict of str to int
        The label of every class.
    background : int
        The label of pixels outside all shapes.

    Returns
    -------
    ndarray of int32 of shape (height, width)
    """
    mask = np.full(drawing.shape, background, dtype=np.int32)
    for shape in drawing.shapes:
        _DRAW[shape.kind](mask, shape, labels[shape.label])
    return mask


def _fill(mask: NDArray[np.int32], shape: Shape, label: int) -> None:
    if len(shape.points) < 3:
        return
    x, y = shape.points.T - 0.5  # centers of pixels at integers
    mask[draw.polygon(y, x, mask.shape)] = label


def _draw_line(mask: NDArray[np.int32], shape: Shape, label: int) -> None:
    corners = [_fixed(shape.points)]
    cv2.polylines(mask, corners, False, label, thickness=_LINE_WIDTH, shift=_BITS)


def _draw_points(mask: NDArray[np.int32], shape: Shape, label: int) -> None:
    for x, y in shape.points - 0.5:
        mask[draw.disk((y, x), _POINT_RADIUS, shape=mask.shape)] = label


def _copy(mask: NDArray[np.int32], shape: Shape, label: int) -> None:
    assert shape.patch is not None
    column, row = shape.points[0].astype(int)
    top, left = max(row, 0), max(column, 0)
    part = shape.patch.unpack()[top - row :, left - column :]
    target = mask[top : top + part.shape[0], left : left + part.shape[1]]
    target[part[: target.shape[0], : target.shape[1]]] = label


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round((points - 0.5) * 2**_BITS).astype(np.int32)


_DRAW = {
    "polygon": _fill,
    "line": _draw_line,
    "points": _draw_points,
    "pixels": _copy,
}
