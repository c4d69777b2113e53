"""Windows, the rectangles of an image that are read and written."""

from typing import Any, NamedTuple


class Window(NamedTuple):
    """A rectangle of pixels; ``bottom`` and ``right`` are not part of it."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


def check_window(window: Window, shape: tuple[int, ...]) -> Window:
    """Raise an error unless the window has pixels and lies within the image.

    Parameters
    ----------
    window : Window
        The window.
    shape : tuple of int
        Height and width of the image; more is ignored.

    Returns
    -------
    Window
        The same window, of Python's integers.

    Raises
    ------
    ValueError
        If it is empty or reaches over the border.
    """
    window = Window(*(int(edge) for edge in window))
    rows = 0 <= window.top < window.bottom <= shape[0]
    columns = 0 <= window.left < window.right <= shape[1]
    if not (rows and columns):
        raise ValueError(
            f"window: expected 0 <= top < bottom <= {shape[0]} and 0 <= left < right "
            f"<= {shape[1]}, got {window}; cut it at the border of the image."
        )
    return window


def split(shape: tuple[int, ...], height: int, width: int) -> list[Window]:
    """Split an image into windows, row by row.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image; more is ignored.
    height, width : int
        The size of the windows. The last ones may be smaller.

    Returns
    -------
    list of Window
    """
    return [
        Window(top, left, min(top + height, shape[0]), min(left + width, shape[1]))
        for top in range(0, shape[0], height)
        for left in range(0, shape[1], width)
    ]


def describe(item: Any) -> str:
    """Return what errors call an argument that is no image."""
    return f"{type(item).__name__} {item!r:.60}"
