"""Rows as a dataset of torch, and the batches of its loader."""

import numpy as np
import pytest
import torch

from sklearn_zoomout import FeatureTable, SegmentedImage, Superpixels
from sklearn_zoomout.classifier._batches import TableRows, load_batches
from sklearn_zoomout.table import Block


@pytest.fixture
def rows():
    """Ten rows of a table; row i holds i, and has the class i % 3."""
    segments = np.arange(10).reshape(2, 5)
    superpixels = Superpixels([SegmentedImage(np.zeros((2, 5, 3)), segments)])
    values = np.arange(10, dtype=np.float32)[:, None]
    table = FeatureTable(superpixels, [Block("test", ("value",), values)])
    return TableRows(table, np.arange(10), np.arange(10) % 3)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 50])
def test_batches_hold_every_row_once(rows, batch_size):
    """An epoch shows every row with its class, in batches of nearly equal size."""
    batches = load_batches(rows, batch_size, np.random.default_rng(0))
    drawn = [(x.clone(), y) for x, y in batches]
    sizes = [len(y) for _, y in drawn]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == len(batches)
    x = torch.cat([x for x, _ in drawn]).ravel()
    y = torch.cat([y for _, y in drawn])
    assert sorted(x.tolist()) == list(range(10))
    assert torch.equal(y, x.long() % 3)


def test_batches_are_shuffled_anew_every_epoch(rows):
    """Two epochs differ; without a generator the order is kept."""

    def epoch(batches):
        return [x.ravel().tolist() for x, _ in batches]

    shuffled = load_batches(rows, 3, np.random.default_rng(0))
    assert epoch(shuffled) != epoch(shuffled)
    kept = load_batches(rows, 5)
    assert epoch(kept) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_batches_share_one_buffer(rows):
    """No batch allocates memory of its own for the features."""
    addresses = {x.data_ptr() for x, _ in load_batches(rows, 3)}
    assert len(addresses) == 1


def test_rows_are_a_dataset_of_torch(rows):
    """A position is a row, several positions are a batch."""
    value, target = rows[4]
    assert (value.tolist(), target) == ([4.0], 1)
    values, targets = rows[np.array([4, 2])]
    assert values.ravel().tolist() == [4.0, 2.0]
    assert targets.tolist() == [1, 2]


def test_batches_leave_the_generator_of_torch_alone(rows):
    """torch's loader would draw a seed from it."""
    before = torch.random.get_rng_state()
    list(load_batches(rows, 3, np.random.default_rng(0)))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_table_in_memory_keeps_its_order(in_memory):
    """Batches are drawn from all rows, as numpy's permutation has them."""
    n_rows = in_memory.n_rows
    data = TableRows(in_memory, np.arange(n_rows), np.arange(n_rows))
    drawn = [y.tolist() for _, y in load_batches(data, 50, np.random.default_rng(3))]
    order = np.random.default_rng(3).permutation(n_rows)
    assert drawn == [sorted(b) for b in np.array_split(order, 12)]
