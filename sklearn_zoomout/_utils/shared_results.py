"""Results that several steps of a pipeline need, computed once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class SharedResults:
    """Results that several steps need, computed by the first step that asks.

    A result is found by its key, which must hold all that it depends on. Threads that
    ask for a result while it is computed wait for it. A pickle holds no results.

    Parameters
    ----------
    max_size : int or None, default=None
        The largest number of results. The least recently used is removed first.

    Examples
    --------
    >>> from sklearn_zoomout._utils.shared_results import SharedResults
    >>> shared = SharedResults()
    >>> shared.get(("square", 3), lambda: 9)
    9
    >>> shared.get(("square", 3), lambda: 1 / 0)  # not computed again
    9
    """

    def __init__(self, max_size: int | None = None) -> None:
        self.max_size = max_size
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()

    def __reduce__(self) -> Any:
        return SharedResults, (self.max_size,)

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the result of a key, computed if it is not there yet.

        Parameters
        ----------
        key : hashable
            What the result depends on.
        compute : callable
            Computes the result.

        Returns
        -------
        object
        """
        with self._lock:
            if key not in self._results:
                self._results[key] = compute()
            self._results.move_to_end(key)
            if self.max_size is not None and len(self._results) > self.max_size:
                self._results.popitem(last=False)
            return self._results[key]
