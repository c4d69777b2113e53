"""Arrays that are read on access."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing

from sklearn_zoomout.datasets._reading import FileSequence


@pytest.fixture
def files(tmp_path):
    """Return five files; the array in file i has shape (i + 1, 2) and values i."""
    paths = [tmp_path / f"{i}.npy" for i in range(5)]
    for i, path in enumerate(paths):
        np.save(path, np.full((i + 1, 2), i))
    return paths


def firsts(arrays):
    """Return which of the five arrays these are."""
    return [int(array[0, 0]) for array in arrays]


def test_integers_read_arrays(files):
    """Any integer reads its array, and beyond the end is an IndexError."""
    arrays = FileSequence(np.load, files)
    assert len(arrays) == 5
    assert [arrays[i].shape for i in (0, -1, np.int64(2))] == [(1, 2), (5, 2), (3, 2)]
    assert firsts(arrays) == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        arrays[5]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(1, None, 2), [1, 3]),
        ([4, 0, 0], [4, 0, 0]),
        ([], []),
        (np.array([3, -5]), [3, 0]),
        (np.arange(5) > 2, [3, 4]),
        ((np.array([2]), ...), [2]),
    ],
)
def test_other_indices_give_a_sequence(files, key, expected):
    """Slices, lists, arrays and masks choose arrays without reading any."""
    arrays = FileSequence(np.load, files)
    for path in files:
        path.rename(path.with_suffix(".hidden"))
    chosen = arrays[key]
    assert isinstance(chosen, FileSequence)
    for path in files:
        path.with_suffix(".hidden").rename(path)
    assert firsts(chosen) == expected


def test_nothing_is_kept(files):
    """Every access reads the file as it is then, into an array of its own."""
    arrays = FileSequence(np.load, files)
    arrays[0][:] = 7
    assert arrays[0][0, 0] == 0
    np.save(files[0], np.full((1, 2), 9))
    assert arrays[0][0, 0] == 9


def test_pickle_holds_names_only(files):
    """A copy for another process is small and reads the same arrays."""
    np.save(files[1], np.ones((1000, 2)))
    content = pickle.dumps(FileSequence(np.load, files))
    assert len(content) < 2000
    assert firsts(pickle.loads(content)) == [0, 1, 2, 3, 4]


def test_scikit_learn_splits_without_reading():
    """Splitters and indexing give sequences, not lists of arrays."""
    arrays = FileSequence(np.load, [f"{i}.npy" for i in range(6)])
    train, test = next(KFold(3).split(arrays))
    assert isinstance(_safe_indexing(arrays, train), FileSequence)
    assert len(_safe_indexing(arrays, test)) == 2
    parts = train_test_split(arrays, arrays, test_size=2)
    assert [len(part) for part in parts] == [4, 2, 4, 2]
    assert all(isinstance(part, FileSequence) for part in parts)


def test_exchanged_arguments_are_named(files):
    """The function comes first."""
    with pytest.raises(TypeError, match=r"read: .*the order is FileSequence\(read"):
        FileSequence(files, np.load)
