"""How an image is cut into tiles, and what of its surroundings each of them sees."""

import math
from collections.abc import Iterator
from typing import NamedTuple

# The margin of a tile holds so many cells of SLIC, and so many pixels of the network.
# With half of them three times as many labels near borders differ from those of the
# image at once, with more of them few less.
_MARGIN_CELLS, _MARGIN_PIXELS = 8, 192
# Tiles begin at common multiples of the sides of cells and blocks, if these are small.
_LARGEST_UNIT = 16


class Tile(NamedTuple):
    """A part of an image, and the window from which it is predicted.

    Attributes
    ----------
    top, left, bottom, right : int
        The tile. The tiles of an image cover it side by side.
    window : tuple of 4 int
        The same of the window, which is the tile with its margin.
    """

    top: int
    left: int
    bottom: int
    right: int
    window: tuple[int, int, int, int]

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the tile is in its window."""
        top, left = self.window[:2]
        return (
            slice(self.top - top, self.bottom - top),
            slice(self.left - left, self.right - left),
        )


class Grid(NamedTuple):
    """Where tiles begin.

    Attributes
    ----------
    unit : int
        Tiles and their windows begin at multiples of it, so that the superpixels and
        feature maps of a window are those of the image.
    margin : int
        What a window shows around its tile, in pixels.
    """

    unit: int
    margin: int

    def tiles(self, shape: tuple[int, int], size: int | None) -> Iterator[Tile]:
        """Cut an image into tiles, row by row.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the image in pixels.
        size : int or None
            Side of a tile in pixels. It is rounded to a multiple of ``unit``. None
            is one tile.

        Yields
        ------
        Tile

        Examples
        --------
        >>> from sklearn_zoomout.tiles._grid import Grid
        >>> for tile in Grid(unit=10, margin=20).tiles((50, 130), size=62):
        ...     print(tile[:4], tile.window)
        (0, 0, 50, 60) (0, 0, 50, 80)
        (0, 60, 50, 130) (0, 40, 50, 130)
        """
        for top, bottom in self._cut(shape[0], size):
            for left, right in self._cut(shape[1], size):
                first = max(top - self.margin, 0), max(left - self.margin, 0)
                last = (
                    min(bottom + self.margin, shape[0]),
                    min(right + self.margin, shape[1]),
                )
                yield Tile(top, left, bottom, right, (*first, *last))

    def _cut(self, length: int, size: int | None) -> list[tuple[int, int]]:
        """Cut an axis into parts of about the same size, at multiples of the unit."""
        n = 1 if size is None else max(round(length / size), 1)
        ends = [round(length * k / n / self.unit) * self.unit for k in range(n)]
        starts = sorted({min(end, length - 1) for end in ends})
        return list(zip(starts, [*starts[1:], length], strict=True))


def choose_grid(cell: int | None, blocks: set[int], margin: int | None) -> Grid:
    """Choose where tiles begin, and what they see around them.

    Parameters
    ----------
    cell : int or None
        Side of the cells of SLIC in pixels. None if SLIC is not used.
    blocks : set of int
        Sides of the blocks of pixels that become 32 pixels of a network.
    margin : int or None
        The margin in pixels. None is 8 cells, or 192 pixels of the network, whichever
        is more.

    Returns
    -------
    Grid

    Examples
    --------
    >>> from sklearn_zoomout.tiles._grid import choose_grid
    >>> choose_grid(22, {33}, None)
    Grid(unit=66, margin=198)
    """
    sides = {*blocks, *([cell] if cell else [])} or {1}
    unit = math.lcm(*sides)
    if unit > _LARGEST_UNIT * min(sides):
        unit = math.lcm(*blocks) if blocks else min(sides)
    if unit > _LARGEST_UNIT * min(sides):
        unit = max(sides)
    if margin is None:
        of_cells = _MARGIN_CELLS * (cell or 0)
        margin = max(of_cells, _MARGIN_PIXELS * max(blocks, default=0) // 32)
    return Grid(unit, -(-margin // unit) * unit)
