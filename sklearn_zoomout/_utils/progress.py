"""Progress bars that exist only where they are shown."""

from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def show_progress(
    items: Iterable[Any],
    name: str,
    total: int,
    *,
    quiet: bool,
    unit: str,
    done: int = 0,
) -> Any:
    """Return items on a progress bar, or as they are.

    A bar that is not shown still has a destructor in Python. A Ctrl-C that arrives
    while one runs is printed and lost.

    Parameters
    ----------
    items : iterable
        The items.
    name : str
        What the bar is called.
    total : int
        Number of all items.
    quiet : bool
        Whether to make no bar.
    unit : str
        What an item is.
    done : int, default=0
        Number of items that are done already.

    Returns
    -------
    iterable
    """
    if quiet:
        return items
    return tqdm(items, name, total, initial=done, unit=unit)
