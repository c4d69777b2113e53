"""Pictures in which every class has a color: their colors, and pixels of soft edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from ._files import Colors

#: A color, RGB in 0..255.
RGB = tuple[int, int, int]
# A picture with more colors of flat areas is no mask.
_MOST_CLASSES = 64
# Of colors without a flat area, the most frequent are looked at.
_MOST_TRIED = 1000
# So many colors may occur in thin lines alone.
_MOST_PENCILS = 5
# Fewer pixels of a color than this, without a flat area, are where three colors mix.
_FEW = 10
# Bicubic interpolation goes so much beyond the colors on both sides of an edge.
_BEYOND = 0.2
# How far a mixture of two colors may be from the line between them.
_TOLERANCE = 12.0
# The same, where the colors of the classes are listed.
_CLOSE = 32.0
_SQUARE = np.ones((3, 3), np.uint8)


def as_rgb(color: Any, name: str = "colors") -> RGB:
    """Return a color as three integers.

    Parameters
    ----------
    color : str or sequence of 3 int
        A name or a hexadecimal code as in HTML, such as "red" or "#ff0000", or RGB in
        0..255.
    name : str, default="colors"
        The name of the argument in errors.

    Returns
    -------
    tuple of 3 int

    Raises
    ------
    ValueError
        If it is something else.
    """
    try:
        if isinstance(color, str):
            red, green, blue = ImageColor.getrgb(color)[:3]
            return red, green, blue
        values = np.asarray(color)
    except ValueError:
        values = np.empty(0)
    if values.shape != (3,) or values.dtype.kind not in "iu" or not _in_byte(values):
        raise ValueError(
            f"{name}: expected colors such as (255, 0, 0), '#ff0000' or 'red', got "
            f"{color!r}."
        )
    red, green, blue = values.tolist()
    return red, green, blue


def is_color(value: Any) -> bool:
    """Return whether `as_rgb` takes a value."""
    try:
        as_rgb(value)
    except ValueError:
        return False
    return True


def color_table(colors: Any) -> tuple[dict[RGB, int], dict[int, str]]:
    """Return the label of every color that a user lists, and the names of the labels.

    Parameters
    ----------
    colors : sequence of color, or mapping of label or name to color
        The k-th color of a sequence is that of label k. So is that of the k-th name.

    Returns
    -------
    labels : dict of RGB to int
    names : dict of int to str

    Raises
    ------
    ValueError
        If a color is none, or listed twice.
    """
    names: dict[int, str] = {}
    if isinstance(colors, Mapping):
        keys = list(colors)
        named = all(isinstance(key, str) for key in keys)
        labels = list(range(len(keys))) if named else [int(key) for key in keys]
        names = dict(enumerate(keys)) if named else {}
        listed = [as_rgb(color) for color in colors.values()]
    else:
        listed = [as_rgb(color) for color in colors]
        labels = list(range(len(listed)))
    if len(set(listed)) < len(listed) or not listed:
        raise ValueError(f"colors: expected distinct colors, got {listed}.")
    return dict(zip(listed, labels, strict=True)), names


@dataclass(frozen=True)
class ColorCount:
    """The colors of a picture, transparent pixels left out.

    Attributes
    ----------
    codes : ndarray of int32 of shape (n_colors,)
        The colors as numbers, see `pack`.
    counts : ndarray of int64 of shape (n_colors,)
        How many pixels have them.
    flat : ndarray of bool of shape (n_colors,)
        Whether they fill a square of 3 x 3 pixels, as soft edges do not.
    """

    codes: NDArray[np.int32]
    counts: NDArray[np.int64]
    flat: NDArray[np.bool_]


def count_colors(picture: Colors) -> ColorCount:
    """Count the colors of a picture."""
    packed = pack(picture.rgb)
    same = np.asarray(cv2.erode(picture.rgb, _SQUARE)) == cv2.dilate(
        picture.rgb, _SQUARE
    )
    inside = same.all(axis=2)
    seen = np.ones(packed.shape, bool)
    if picture.transparent is not None:
        seen = ~picture.transparent
    codes, counts = np.unique(packed[seen], return_counts=True)
    return ColorCount(codes, counts, np.isin(codes, packed[inside & seen]))


def pack(rgb: NDArray[Any]) -> NDArray[np.int32]:
    """Return colors, of shape (..., 3), as numbers."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return (red << 16) | (green << 8) | blue


def unpack(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the colors, of shape (..., 3), of numbers."""
    return np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=-1)


def learn_colors(
    pictures: Sequence[ColorCount], known: Sequence[RGB] = ()
) -> list[RGB]:
    """Return the colors of classes, without those of soft edges.

    A color belongs to a class if it fills 3 x 3 pixels somewhere. Another color is a
    soft edge if fewer than 10 pixels have it, or if it lies between two colors of
    classes, each of which has at least four times as many pixels.

    Parameters
    ----------
    pictures : sequence of ColorCount
        The colors of all pictures.
    known : sequence of RGB
        Colors that are no soft edges, such as that of unlabeled pixels.

    Returns
    -------
    list of RGB
        In the order of the pictures in which they occur first, those of one picture by
        red, green and blue.

    Raises
    ------
    ValueError
        If there is none, or there are too many, as in a photograph.
    """
    codes, first = np.unique(
        np.concatenate([p.codes for p in pictures]), return_index=True
    )
    order = np.argsort(first, kind="stable")
    counts = np.zeros(len(codes), np.int64)
    flat = np.isin(codes, [pack(np.array(color)) for color in known])
    for picture in pictures:
        place = np.searchsorted(codes, picture.codes)
        counts[place] += picture.counts
        flat[place] |= picture.flat
    if flat.sum() > _MOST_CLASSES:
        raise ValueError(
            f"expected a color per class, got {flat.sum()} colors of flat areas, as in "
            "a photograph; pass the colors of the classes as colors."
        )
    rgb = unpack(codes).astype(np.float64)
    main = flat.tolist()
    rest = np.flatnonzero(~flat & (counts >= _FEW))
    for i in rest[np.argsort(-counts[rest], kind="stable")][:_MOST_TRIED]:
        ends = np.flatnonzero(np.array(main) & (counts >= 4 * counts[i]))
        main[i] = not lies_on_a_line(rgb[i], rgb[ends])
    n_thin = sum(main) - int(flat.sum())
    if n_thin > max(_MOST_PENCILS, int(flat.sum())):
        raise ValueError(
            f"expected a color per class, got {n_thin} colors that fill no square of 3 "
            "x 3 pixels, as in a photograph or after resizing; pass the colors of the "
            "classes as colors."
        )
    if not any(main):
        raise ValueError(
            "expected a color per class, got none that fills 3 x 3 pixels or that 10 "
            "pixels have; pass the colors of the classes as colors."
        )
    chosen = unpack(codes[[i for i in order if main[i]]])
    return [(r, g, b) for r, g, b in chosen.tolist()]


def learn_colors_of(
    paths: Sequence[Path], pictures: Sequence[ColorCount], known: Sequence[RGB]
) -> list[RGB]:
    """Return the colors of classes in files as `learn_colors` does; errors name them.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The files.
    pictures, known : sequence of ColorCount, sequence of RGB
        See `learn_colors`.

    Returns
    -------
    list of RGB

    Raises
    ------
    ValueError
        If there are too many, or none.
    """
    name = f"{paths[0]} and the other files" if len(paths) > 1 else f"{paths[0]}"
    try:
        return learn_colors(pictures, known)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def lies_on_a_line(
    color: NDArray[np.float64], ends: NDArray[np.float64], tolerance: float = _TOLERANCE
) -> bool:
    """Return whether a color is a mixture of two others, or nearly one of them.

    Parameters
    ----------
    color : ndarray of float64 of shape (3,)
        The color.
    ends : ndarray of float64 of shape (n, 3)
        The others.
    tolerance : float
        How far it may be from the line between the two.

    Returns
    -------
    bool
    """
    if len(ends) and np.linalg.norm(ends - color, axis=1).min() <= tolerance / 2:
        return True
    if len(ends) < 2:
        return False
    one, other = np.array(list(combinations(range(len(ends)), 2))).T
    line = ends[other] - ends[one]
    along = ((color - ends[one]) * line).sum(axis=1) / (line**2).sum(axis=1)
    nearest = ends[one] + np.clip(along, -_BEYOND, 1 + _BEYOND)[:, None] * line
    return bool(np.linalg.norm(nearest - color, axis=1).min() <= tolerance)


def label_colors(
    picture: Colors, table: dict[RGB, int], name: str, *, strict: bool
) -> tuple[NDArray[np.int64], int]:
    """Give every pixel the label of its color.

    A pixel of another color is one of a soft edge. It gets the label of the listed
    color that is nearest to its own, among those of pixels close by.

    Parameters
    ----------
    picture : Colors
        The picture.
    table : dict of RGB to int
        The label of every color.
    name : str
        The file, for the error.
    strict : bool
        Whether a color that is no mixture of two listed ones is an error.

    Returns
    -------
    labels : ndarray of int64 of shape (height, width)
        -1 for transparent pixels.
    n_soft : int
        How many pixels are those of soft edges.

    Raises
    ------
    ValueError
        If a color is neither listed nor a mixture of two listed ones.
    """
    packed = pack(picture.rgb)
    listed = np.array(list(table), dtype=np.int64)
    order = np.argsort(pack(listed))
    codes = pack(listed)[order]
    place = np.minimum(np.searchsorted(codes, packed), len(codes) - 1)
    which = np.where(codes[place] == packed, order[place], -1)
    values = np.array(list(table.values()), dtype=np.int64)
    soft = which < 0
    if picture.transparent is not None:
        soft &= ~picture.transparent
    n_soft = int(soft.sum())
    if n_soft:
        if strict:
            _refuse_unknown(picture, soft, listed, name)
        which[soft] = _resolve(picture.rgb, soft, which, listed)
    labels = values[which]
    if picture.transparent is not None:
        labels[picture.transparent] = -1
    return labels, n_soft


def _resolve(
    rgb: NDArray[np.uint8],
    soft: NDArray[np.bool_],
    which: NDArray[np.int64],
    listed: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the position of the listed color of each soft pixel."""
    colors = rgb[soft].astype(np.int64)
    distance = np.stack([((colors - c) ** 2).sum(axis=1) for c in listed], axis=1)
    chosen = np.full(len(colors), -1)
    for radius in (1, 2, 4, 8, 16):
        window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        near = np.stack(
            [
                np.asarray(cv2.dilate((which == k).astype(np.uint8), window))[soft] > 0
                for k in range(len(listed))
            ],
            axis=1,
        )
        best = np.where(near, distance, np.iinfo(np.int64).max).argmin(axis=1)
        # An edge has two sides. One may be out of sight of a single pixel.
        found = near.sum(axis=1) >= (2 if radius < 16 else 1)
        chosen = np.where((chosen < 0) & found, best, chosen)
        if (chosen >= 0).all():
            return chosen
    return np.where(chosen < 0, distance.argmin(axis=1), chosen)


def _refuse_unknown(
    picture: Colors, soft: NDArray[np.bool_], listed: NDArray[np.int64], name: str
) -> None:
    """Raise an error for a color of a flat area, or one that is no mixture of two."""
    found = count_colors(picture)
    ends = listed.astype(np.float64)
    for code, count, flat in zip(found.codes, found.counts, found.flat, strict=True):
        color = unpack(code).astype(np.float64)
        # A single end is no line: it takes only colors close to it.
        lines = ends[:0] if flat else ends
        near = np.linalg.norm(ends - color, axis=1).min() <= _CLOSE
        if near or count < _FEW or lies_on_a_line(color, lines, _CLOSE):
            continue
        rows, columns = np.nonzero(soft & (pack(picture.rgb) == code))
        raise ValueError(
            f"{name}: expected the colors of the classes or mixtures of two, got "
            f"{unpack(code).tolist()} on {count} pixels, first at row {rows[0]}, "
            f"column {columns[0]}; list the color, or pass it as unlabeled."
        )


def _in_byte(values: NDArray[Any]) -> bool:
    return bool(((values >= 0) & (values <= 255)).all())
