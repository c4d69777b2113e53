"""Results that are computed once for several steps."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sklearn_zoomout._utils.shared import SharedResults


def test_threads_wait_for_a_result():
    """The first one computes it, all others get it."""
    shared, calls, everyone = SharedResults(), [], threading.Barrier(4)

    def compute():
        calls.append(threading.current_thread())
        return object()

    def ask(_):
        everyone.wait()
        return shared.get("key", compute)

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(ask, range(4)))
    assert len(results) == len(calls) == 1


def test_the_result_that_was_not_used_for_longest_goes_first():
    """Memory is bounded."""
    shared, calls = SharedResults(max_size=2), []
    for key in "abacb":
        shared.get(key, lambda key=key: calls.append(key))
    assert calls == ["a", "b", "c", "b"]
    assert len(shared) == 2


def test_a_computation_that_fails_is_tried_again():
    """An error is not kept."""
    shared = SharedResults()
    with pytest.raises(ZeroDivisionError):
        shared.get("key", lambda: 1 / 0)
    assert shared.get("key", lambda: 7) == 7


def test_a_computation_may_need_another_result():
    """A thread does not wait for itself."""
    shared = SharedResults()
    assert shared.get("sum", lambda: 1 + shared.get("part", lambda: 2)) == 3


def test_pickles_hold_no_results():
    """Other processes compute what they need."""
    shared = SharedResults(max_size=3)
    shared.get("key", object)
    restored = pickle.loads(pickle.dumps(shared))
    assert len(restored) == 0
    assert restored.max_size == 3
