"""Blocks whose values are maps of files."""

import pickle
from dataclasses import replace

import joblib
import numpy as np
import pytest
from labeled_tables import make_table, map_table

from sklearn_zoomout import FeatureTable


@pytest.fixture
def in_memory():
    return make_table()


@pytest.fixture
def in_files(in_memory, tmp_path):
    return map_table(in_memory, tmp_path)


def test_a_map_in_fortrans_order_is_memory(in_memory, tmp_path):
    """Its rows are spread over the file; a pickle holds the values, and right ones."""
    block = in_memory.blocks[0]
    np.save(tmp_path / "values.npy", np.asfortranarray(block.values))
    values = np.load(tmp_path / "values.npy", mmap_mode="r")
    assert not values.flags.c_contiguous
    block = replace(block, values=values)
    table = FeatureTable(in_memory.superpixels, [block])
    assert not table.in_files
    again = pickle.loads(pickle.dumps(table))
    np.testing.assert_array_equal(again.to_numpy(), table.to_numpy())


def test_a_table_that_joblib_has_mapped_is_in_memory(in_memory, tmp_path):
    """Its processes get large arrays as maps of files, which soon disappear."""
    joblib.dump(in_memory, tmp_path / "table")
    mapped = joblib.load(tmp_path / "table", mmap_mode="r")
    assert not mapped.in_files
    again = pickle.loads(pickle.dumps(mapped))
    (tmp_path / "table").unlink()
    np.testing.assert_array_equal(again.to_numpy(), in_memory.to_numpy())


def test_files_are_let_go_of(in_files, monkeypatch):
    """What was read of a file does not stay in the memory of the process."""
    forgotten = []
    from sklearn_zoomout.table import _feature_table as module

    monkeypatch.setattr(module, "forget_pages", lambda v: forgotten.append(v.shape))
    in_files.take(np.arange(5))
    assert forgotten == [block.values.shape for block in in_files.blocks]
