"""Training from files: the order of rows, the thread that reads, the weights."""

import math
import threading
import time

import numpy as np
import pytest
import torch

from sklearn_zoomout import FeatureTable, ZoomoutClassifier
from sklearn_zoomout.classifier import _row_windows, _training
from sklearn_zoomout.classifier._net import ZoomoutNet
from sklearn_zoomout.classifier._row_windows import (
    read_ahead,
    read_windows,
    rows_of_window,
    split_into_windows,
)


@pytest.fixture
def small_windows(monkeypatch):
    """Let a window have 96 rows of the tables here, and a run 8."""
    monkeypatch.setattr(_row_windows, "_WINDOW_BYTES", 96 * 4 * 7)
    monkeypatch.setattr(_row_windows, "_RUN", 8)
    monkeypatch.setattr(_row_windows, "_AT_ONCE", 40)


@pytest.fixture
def masks():
    """Two classes, and an image in which most superpixels have no label."""
    rng = np.random.default_rng(1)
    drawn = list(rng.integers(0, 2, (20, 5, 6)))
    drawn[4][1:] = -1
    return drawn


@pytest.mark.parametrize("n_rows", [1, 7, 96, 1000, 1037])
@pytest.mark.parametrize("batch_size", [1, 10, 200])
def test_every_row_is_in_one_batch(small_windows, n_rows, batch_size):
    """An epoch has each row once; batches differ by a row, windows are bounded."""
    n_batches = -(-n_rows // batch_size)
    windows = split_into_windows(n_rows, n_batches, 96, np.random.default_rng(0))
    batches = [batch for window in windows for batch in window]
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n_rows))
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == n_batches
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert all(sum(map(len, w)) <= max(96, max(sizes)) for w in windows)


def test_windows_are_runs_from_all_over_the_table(small_windows):
    """Neighbors come together, so that they can be read together; windows do not."""
    n_rows = 4000
    windows = split_into_windows(n_rows, 400, 96, np.random.default_rng(0))
    for window in windows:
        rows = np.sort(np.concatenate(window))
        n_runs = 1 + np.count_nonzero(np.diff(rows) > 1)
        assert n_runs <= 96 // 8 + 2
    spread = [np.concatenate(window).std() for window in windows]
    assert np.mean(spread) > 0.8 * n_rows / np.sqrt(12)
    # Within a window a batch is drawn from all its runs.
    assert np.mean([len(np.unique(b // 8)) for w in windows for b in w]) > 5


def test_the_order_is_that_of_the_generator(small_windows):
    """The same seed gives the same batches, two epochs differ, None keeps them."""

    def draw(rng):
        return np.concatenate(
            [b for w in split_into_windows(500, 50, 96, rng) for b in w]
        )

    rng = np.random.default_rng(0)
    first = draw(rng)
    np.testing.assert_array_equal(first, draw(np.random.default_rng(0)))
    assert not np.array_equal(first, draw(rng))
    np.testing.assert_array_equal(draw(None), np.arange(500))


def test_batches_hold_the_rows_that_they_name(in_memory, in_files, small_windows):
    """Also of a view, and of some of the rows."""
    view, plain = in_files[::-2], in_memory[::-2]
    rows = np.flatnonzero(np.arange(view.n_rows) % 3)
    windows = split_into_windows(len(rows), 21, 96, np.random.default_rng(0))
    assert len(windows) > 2
    drawn = list(read_windows_copied(view, rows, windows))
    expected = [np.sort(batch) for window in windows for batch in window]
    assert len(drawn) == len(expected)
    for (chosen, values), batch in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(chosen, batch)
        np.testing.assert_array_equal(values, plain.take(rows[batch]))


def read_windows_copied(table, rows, windows):
    """Draw batches slowly enough that the next window is read before they are used."""
    for chosen, values in read_windows(table, rows, windows):
        time.sleep(0.01)
        yield chosen, values.copy()


class PlainBatches:
    """The batches of a table in files, taken one after another from memory."""

    def __init__(self, rows, batch_size, rng=None):
        self.rows, self.batch_size, self.rng = rows, batch_size, rng

    def __iter__(self):
        data, table = self.rows, self.rows.table
        window = rows_of_window(table.n_columns)
        n_batches = math.ceil(len(data) / self.batch_size)
        for batches in split_into_windows(len(data), n_batches, window, self.rng):
            for batch in map(np.sort, batches):
                x = torch.from_numpy(table.take(data.rows[batch]))
                yield x, torch.from_numpy(data.targets[batch])


@pytest.mark.parametrize("fraction", [None, 0.2])
def test_weights_are_those_of_plain_batches_in_the_same_order(
    in_memory, in_files, masks, small_windows, monkeypatch, fraction
):
    """To the last bit: windows, thread and files change nothing but the order."""

    def fit(table):
        classifier = ZoomoutClassifier(
            (6,),
            max_epochs=3,
            batch_size=50,
            random_state=0,
            validation_fraction=fraction,
        )
        return classifier.fit(table, masks)

    streamed = fit(in_files)
    monkeypatch.setattr(_training, "load_batches", PlainBatches)
    plain = fit(in_memory)
    np.testing.assert_array_equal(streamed.mean_, plain.mean_)
    np.testing.assert_array_equal(streamed.scale_, plain.scale_)
    for key in ("train_loss", "valid_loss"):
        assert [e.get(key) for e in streamed.history_] == [
            e.get(key) for e in plain.history_
        ]
    pairs = zip(
        streamed.net_.module_.parameters(),
        plain.net_.module_.parameters(),
        strict=True,
    )
    assert all(torch.equal(one, other) for one, other in pairs)


def reading_threads():
    return [t for t in threading.enumerate() if t.name.startswith("read-ahead")]


def test_one_item_is_read_ahead():
    """The next is being read while one is used, and no more than the next."""
    begun, used = [], []
    for item in read_ahead(lambda i: begun.append(i) or i, range(6)):
        used.append(item)
        assert len(begun) <= item + 2
        assert len(reading_threads()) == 1
    assert used == begun == list(range(6))
    assert not reading_threads()
    assert list(read_ahead(str, [])) == []


@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()])
def test_an_error_of_the_thread_is_raised(in_files, masks, monkeypatch, error):
    """Nothing waits for what will never come, and the thread has ended."""
    classifier = ZoomoutClassifier((3,), max_epochs=2, random_state=0)
    take = FeatureTable.take

    def fail(self, *args, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            raise error
        return take(self, *args, **kwargs)

    monkeypatch.setattr(FeatureTable, "take", fail)
    with pytest.raises(type(error)):
        classifier.fit(in_files, masks)
    assert not reading_threads()
    assert not hasattr(classifier, "classes_")


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_the_thread_ends_when_training_is_stopped(
    in_files, masks, small_windows, monkeypatch, error
):
    """By an error or Ctrl-C in the middle of an epoch."""
    classifier = ZoomoutClassifier((3,), max_epochs=2, batch_size=10, random_state=0)
    calls = []

    def forward(self, x):
        calls.append(len(reading_threads()))
        if len(calls) == 3:
            raise error
        return self.finish(self.layers[0](x))

    monkeypatch.setattr(ZoomoutNet, "forward", forward)
    with pytest.raises(type(error)):
        classifier.fit(in_files, masks)
    assert calls == [1, 1, 1]
    assert not reading_threads()
