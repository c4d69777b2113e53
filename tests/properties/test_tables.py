"""Properties of tables of features: they are the arrays that they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_zoomout import FeatureTable, SegmentedImage, Superpixels
from sklearn_zoomout.table import Block


@st.composite
def tables(draw):
    """Draw a table of several images and blocks, and its rows."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    items = [
        SegmentedImage(np.zeros((1, n, 3), np.uint8), np.arange(n)[None]) for n in sizes
    ]
    blocks, parts = [], []
    for i, per_image in enumerate(
        draw(st.lists(st.booleans(), min_size=1, max_size=4))
    ):
        n_columns = draw(st.integers(1, 3))
        shape = (len(sizes) if per_image else sum(sizes), n_columns)
        values = rng.normal(size=shape).astype(draw(st.sampled_from(["f2", "f4"])))
        columns = tuple(f"c{k}" for k in range(n_columns))
        blocks.append(Block(f"b{i}", columns, values, per_image))
        rows = np.repeat(values, sizes, axis=0) if per_image else values
        parts.append(rows.astype(np.float32))
    return FeatureTable(Superpixels(items), blocks), np.hstack(parts), parts


def rows_of(table, images):
    """Return the numbers of the rows of images, in their order."""
    bounds = table.row_offsets
    ranges = [np.arange(bounds[i], bounds[i + 1]) for i in images]
    return np.concatenate([np.empty(0, int), *ranges]).astype(int)


@given(tables())
def test_a_table_is_an_array_of_rows(drawn):
    """In one piece, and in batches."""
    table, rows, _ = drawn
    np.testing.assert_array_equal(table.to_numpy(), rows)
    np.testing.assert_array_equal(np.vstack(list(table.batches(4))), rows)
    assert table.shape == (len(table.superpixels), rows.shape[1])


@given(tables(), st.data())
def test_images_in_any_order_have_their_rows(drawn, data):
    """Also one several times, and parts of parts."""
    table, rows, _ = drawn
    images = data.draw(st.lists(st.integers(0, len(table) - 1), min_size=1))
    part = table[images]
    expected = rows[rows_of(table, images)]
    np.testing.assert_array_equal(part.to_numpy(), expected)
    np.testing.assert_array_equal(part.compact().to_numpy(), expected)
    np.testing.assert_array_equal(
        part[::-1].to_numpy(), rows[rows_of(table, images[::-1])]
    )


@given(tables(), st.slices(5))
def test_slices_are_those_of_a_list(drawn, key):
    """An empty one has no rows."""
    table, rows, _ = drawn
    images = np.arange(len(table))[key]
    np.testing.assert_array_equal(table[key].to_numpy(), rows[rows_of(table, images)])


@given(tables(), st.data())
def test_rows_are_taken_as_from_an_array(drawn, data):
    """In any order, again and again."""
    table, rows, _ = drawn
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
    order = np.array(order, int)
    np.testing.assert_array_equal(table.take(order), rows[order])


@given(tables(), st.data())
def test_blocks_are_selected_and_stacked_as_columns(drawn, data):
    """Selected blocks that are stacked are those that are selected at once."""
    table, _, parts = drawn
    chosen = data.draw(st.permutations(range(len(parts))))[
        : data.draw(st.integers(1, len(parts)))
    ]
    names = [table.block_names[i] for i in chosen]
    # A selection keeps the order of the table, a stack that of its parts.
    expected = np.hstack([parts[i] for i in sorted(chosen)])
    np.testing.assert_array_equal(table.select(names).to_numpy(), expected)
    expected = np.hstack([parts[i] for i in chosen])
    singles = [table.select([name]) for name in names]
    stacked = np.concatenate(singles, axis=1)
    np.testing.assert_array_equal(stacked.to_numpy(), expected)


@given(tables())
def test_moments_are_those_of_numpy(drawn):
    """A constant column has the scale 1."""
    table, rows, _ = drawn
    mean, scale = table.mean_and_scale()
    rows = rows.astype(np.float64)
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-5, atol=1e-6)
    constant = np.ptp(rows, axis=0) == 0
    assert (scale[constant] == 1).all()
    expected = rows.std(axis=0)[~constant]
    np.testing.assert_allclose(scale[~constant], expected, rtol=1e-4, atol=1e-6)


@given(tables(), st.integers(-20, 20))
def test_an_index_beyond_the_images_is_an_error(drawn, i):
    """As for a list."""
    table, _, _ = drawn
    if -len(table) <= i < len(table):
        assert len(table[i]) == 1
    else:
        with pytest.raises(IndexError):
            table[i]
