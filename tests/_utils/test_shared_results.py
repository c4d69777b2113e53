"""Results that several steps need are computed once."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sklearn_zoomout._utils.shared_results import SharedResults


def never():
    """Fail if it is called."""
    pytest.fail("computed again")


def test_a_result_is_computed_once_per_key():
    """The key decides; another key is another result."""
    shared = SharedResults()
    assert shared.get(("a", 1), lambda: [1]) is shared.get(("a", 1), never)
    assert shared.get(("a", 2), lambda: 2) == 2
    assert len(shared) == 2


def test_threads_wait_for_the_first():
    """A second thread gets the result of the first, however long that takes."""
    shared, started, calls = SharedResults(), threading.Barrier(4), []

    def slow():
        calls.append(threading.get_ident())
        threading.Event().wait(0.05)
        return object()

    def ask(_):
        started.wait()
        return shared.get("key", slow)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ask, range(4)))
    assert len(calls) == 1
    assert len(set(map(id, results))) == 1


def test_the_least_recently_used_goes_first():
    """The number of results is bounded."""
    shared = SharedResults(max_size=2)
    for key in "aba":
        shared.get(key, lambda key=key: key)
    shared.get("c", lambda: "c")
    assert len(shared) == 2
    assert shared.get("a", never) == "a"
    assert shared.get("b", lambda: "again") == "again"


def test_an_error_is_not_kept():
    """What failed is tried again."""
    shared = SharedResults()
    with pytest.raises(ZeroDivisionError):
        shared.get("key", lambda: 1 / 0)
    assert shared.get("key", lambda: 1) == 1


def test_a_pickle_holds_no_results():
    """They can be computed again, and may be large."""
    shared = SharedResults(max_size=3)
    shared.get("key", lambda: 1)
    copy = pickle.loads(pickle.dumps(shared))
    assert len(copy) == 0
    assert copy.max_size == 3
