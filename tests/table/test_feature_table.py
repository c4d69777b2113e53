"""`FeatureTable`: views, stacks, rows, pickles and pandas frames."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import FeatureTable, RegionFeatures, SuperpixelSegmenter
from sklearn_zoomout.table import Block, check_table


class Place(RegionFeatures):
    """Two columns per superpixel: its centroid."""

    block_name = "place"

    def describe(self, segmented):
        return segmented.centroids

    def column_names(self):
        return ["row", "column"]


class Size(RegionFeatures):
    """Two columns per image: its height and width."""

    block_name = "size"
    per_image = True

    def describe(self, segmented):
        return segmented.shape

    def column_names(self):
        return ["height", "width"]


@pytest.fixture
def table(superpixels):
    union = FeatureUnion([("place", Place()), ("size", Size())])
    return union.fit_transform(superpixels)


@pytest.fixture
def rows(superpixels):
    """The expected rows of the table."""
    places = np.vstack([s.centroids for s in superpixels])
    sizes = np.vstack([np.tile(s.shape, (s.n_segments, 1)) for s in superpixels])
    return np.hstack([places, sizes]).astype(np.float32)


def test_a_feature_union_stacks_tables(table, superpixels, rows):
    """Samples are images, rows are superpixels, columns are features."""
    assert isinstance(table, FeatureTable)
    assert len(table) == 4
    assert table.shape == (4, 4)
    assert table.n_rows == superpixels.n_rows
    assert table.block_names == ["place", "size"]
    assert table.columns == [
        "place__row",
        "place__column",
        "size__height",
        "size__width",
    ]
    assert table.to_numpy().dtype == np.float32
    np.testing.assert_array_equal(table.to_numpy(), rows)


def test_the_global_block_is_stored_once_per_image(table):
    """Four images have four stored rows."""
    assert table.blocks[1].values.shape == (4, 2)


def test_stacking_and_indexing_copy_no_values(superpixels):
    """Views share the memory of the blocks."""
    first, second = (f.fit_transform(superpixels) for f in (Place(), Size()))
    stacked = np.concatenate([first, second], axis=1)
    view = stacked[np.array([2, 0])].select(["place"])
    assert view.blocks[0].values is first.blocks[0].values
    assert isinstance(np.hstack([first, second]), FeatureTable)
    assert isinstance(np.concatenate([first, second], 1), FeatureTable)


@pytest.mark.parametrize("key", [[2, 0], slice(1, 3), np.array([3]), -1, ([0, 2], ...)])
def test_indexing_selects_images(table, rows, key):
    """The rows of a view are those of its images, in its order."""
    images = np.atleast_1d(np.arange(4)[key[0] if isinstance(key, tuple) else key])
    expected = np.vstack(
        [rows[table.row_offsets[i] : table.row_offsets[i + 1]] for i in images]
    )
    view = table[key]
    np.testing.assert_array_equal(view.to_numpy(), expected)
    assert [s.shape for s in view.superpixels] == [
        table.superpixels[i].shape for i in images
    ]
    np.testing.assert_array_equal(view[::-1][::-1].to_numpy(), expected)


def test_take_copies_rows_in_any_order_into_a_buffer(table, rows):
    """The rows of a view are numbered within the view."""
    view = table[[3, 1]]
    offsets = table.row_offsets
    expected = np.vstack([rows[offsets[3] :], rows[offsets[1] : offsets[2]]])
    order = np.random.default_rng(0).permutation(view.n_rows)[:17]
    buffer = np.empty((17, 4), np.float32)
    assert view.take(order, out=buffer) is buffer
    np.testing.assert_array_equal(buffer, expected[order])


def test_batches_cover_all_rows_in_order(table, rows):
    """The last batch may be shorter."""
    batches = list(table.batches(50))
    assert [len(batch) for batch in batches[:-1]] == [50] * (len(batches) - 1)
    np.testing.assert_array_equal(np.vstack(batches), rows)


def test_mean_and_scale_are_those_of_numpy(table, rows):
    """They use float64 and all rows or some. A constant column has scale 1."""
    some = np.arange(0, table.n_rows, 3)
    for which in (None, some):
        expected = rows[some if which is not None else slice(None)].astype(np.float64)
        mean, scale = table.mean_and_scale(which)
        np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(scale, expected.std(axis=0), rtol=1e-4)
    assert table[[0]].mean_and_scale()[1][2] == 1


def test_pandas_output_keeps_the_table(superpixels, rows):
    """A frame has a row per image, and can be converted to a table after slicing."""
    union = FeatureUnion([("place", Place()), ("size", Size())])
    with sklearn.config_context(transform_output="pandas"):
        frame = union.fit_transform(superpixels)
    assert list(frame.columns) == [
        "place__row",
        "place__column",
        "size__height",
        "size__width",
    ]
    assert frame.shape == (4, 4)
    np.testing.assert_array_equal(check_table(frame).to_numpy(), rows)
    last_first = check_table(frame.iloc[[3, 0]])
    assert len(last_first) == 2
    np.testing.assert_array_equal(
        last_first.to_numpy()[: superpixels[3].n_segments],
        rows[-superpixels[3].n_segments :],
    )


def test_tables_of_several_extractions_can_be_joined(images):
    """A frame of concatenated frames contains all rows."""
    pandas = pytest.importorskip("pandas")
    segmenter = SuperpixelSegmenter(n_segments=40)
    with sklearn.config_context(transform_output="pandas"):
        frames = [
            FeatureUnion([("place", Place())]).fit_transform(segmenter.transform(part))
            for part in (images[:1], images[1:])
        ]
    joined = check_table(pandas.concat(frames))
    whole = Place().fit_transform(segmenter.transform(images))
    np.testing.assert_array_equal(joined.to_numpy(), whole.to_numpy())


def test_a_pickled_view_contains_only_its_images(table):
    """The rest of the table is not pickled."""
    view = pickle.loads(pickle.dumps(table[[1]]))
    assert len(view.superpixels) == 1
    assert view.blocks[0].values.shape == (view.n_rows, 2)
    np.testing.assert_array_equal(view.to_numpy(), table[[1]].to_numpy())


def test_tables_of_different_superpixels_do_not_stack(table, images):
    """Stacking compares the number of superpixels of each image."""
    with pytest.raises(ValueError, match="different superpixels"):
        np.concatenate([table, table[[0, 1]]], axis=1)
    with pytest.raises(TypeError, match="RegionFeatures"):
        np.concatenate([table, np.zeros((4, 2))], axis=1)


def test_views_of_the_same_images_stack(table):
    """Blocks that were selected from one table are stacked without a copy."""
    images = [2, 0]
    view = table[images]
    again = np.concatenate([view.select(["place"]), view.select(["size"])], axis=1)
    np.testing.assert_array_equal(again.to_numpy(), view.to_numpy())
    assert np.shares_memory(again.blocks[0].values, table.blocks[0].values)
    np.testing.assert_array_equal(
        np.concatenate([view], axis=1).to_numpy(), view.to_numpy()
    )


def test_other_numpy_functions_are_refused(table):
    """The error says what to use instead."""
    with pytest.raises(TypeError, match="to_numpy"):
        np.concatenate([table, table], axis=0)
    with pytest.raises(TypeError, match="to_numpy"):
        np.mean(table)
    with pytest.raises(TypeError, match="to_numpy"):
        np.asarray(table, dtype=float)


def test_wrong_input_is_refused(table, superpixels):
    """The error says what was expected."""
    with pytest.raises(TypeError, match="FeatureTable, got ndarray"):
        check_table(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"block 'x': expected .* got \(3, 1\)"):
        FeatureTable(superpixels, [Block("x", ("a",), np.zeros((3, 1)))])
    with pytest.raises(ValueError, match="place.*size.*distant"):
        table.select(["distant"])
    with pytest.raises(IndexError, match="select"):
        table[[0], 1]


def test_blocks_of_the_same_name_get_a_number(superpixels):
    """All columns have different names, and each block can be selected."""
    tables = [Place().fit_transform(superpixels) for _ in range(3)]
    stacked = np.concatenate(tables, axis=1)
    assert stacked.block_names == ["place", "place_2", "place_3"]
    assert len(set(stacked.columns)) == 6
    assert stacked.select(["place_2"]).shape == (4, 2)


def test_blocks_can_be_renamed(table, rows):
    """The view has the same values, and its columns have the new names."""
    renamed = table[[0, 2]].rename_blocks(["where", "place"])
    assert renamed.columns == [
        "where__row",
        "where__column",
        "place__height",
        "place__width",
    ]
    assert table.block_names == ["place", "size"]
    assert renamed.blocks[0].values is table.blocks[0].values
    np.testing.assert_array_equal(renamed.to_numpy(), table[[0, 2]].to_numpy())
    np.testing.assert_array_equal(
        renamed.select(["place"]).to_numpy(), table[[0, 2]].to_numpy()[:, 2:]
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], r"expected a list of 2 names, .*'place', 'size'.* got \['a'\]"),
        ("ab", "expected a list of 2 names"),
        (["a", "a"], r"expected different names, got \['a', 'a'\]"),
    ],
)
def test_wrong_names_of_blocks_are_refused(table, names, message):
    """There is one name per block, and no two are equal."""
    with pytest.raises(ValueError, match=message):
        table.rename_blocks(names)


@pytest.mark.parametrize("shape", [(2,), (1, 2), (30, 1), (5, 2)])
def test_features_of_another_shape_are_not_broadcast(superpixels, shape):
    """A missing row or axis is an error that names the image."""
    features = Place()
    features.describe = lambda segmented: np.zeros(shape)
    expected = rf"images\[0\].*describe.*\({superpixels[0].n_segments}, 2\)"
    with pytest.raises(ValueError, match=expected):
        features.fit_transform(superpixels)
