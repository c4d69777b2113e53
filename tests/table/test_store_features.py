"""What `store_features` writes, and what it refuses."""

import numpy as np
import pytest
from stored_levels import Size, make_features

from sklearn_zoomout import (
    FeatureTable,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    open_features,
    store_features,
    zoomout_pipeline,
)
from sklearn_zoomout.exceptions import PrecisionWarning


@pytest.mark.parametrize("images_at_once", [1, 3, 16])
def test_what_is_stored_is_what_was_computed(
    features, images, in_memory, folder, images_at_once
):
    """Rows, columns, offsets and label maps are equal for any `images_at_once`."""
    stored = store_features(features, images, folder, images_at_once=images_at_once)
    for table in (stored, open_features(folder)):
        assert isinstance(table, FeatureTable)
        assert table.columns == in_memory.columns
        assert table.block_names == in_memory.block_names
        np.testing.assert_array_equal(table.row_offsets, in_memory.row_offsets)
        np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())
        for one, other in zip(table.superpixels, in_memory.superpixels, strict=True):
            np.testing.assert_array_equal(one.segments, other.segments)
            assert one.segments.dtype == other.segments.dtype
            assert one.n_segments == other.n_segments
    assert all(type(block.values) is np.memmap for block in stored.blocks)


def test_a_block_per_image_is_stored_once_per_image(features, images, folder):
    """The files contain the values only, and label maps two bytes per pixel."""
    table = store_features(features, images, folder, dtype="float16")
    size = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert size["block_0.bin"] == table.n_rows * len(table.blocks[0].columns) * 2
    assert size["block_1.bin"] == len(images) * 2 * 2
    assert size["segments.bin"] == sum(2 * i.shape[0] * i.shape[1] for i in images)


def test_float16_is_within_half_a_step(features, images, in_memory, folder):
    """The error is at most 2**-11 of the value, or 2**-25 near zero."""
    stored = store_features(features, images, folder, dtype="float16")
    exact = in_memory.to_numpy()
    error = np.abs(stored.to_numpy() - exact)
    assert error.max() > 0
    assert np.all(error <= np.maximum(2.0**-11 * np.abs(exact), 2.0**-25))


def test_values_beyond_float16_are_refused(images, folder):
    """They are not stored as infinity. The error names the image and the column."""
    features = make_features(level=Size(900.0)).fit(images)
    images = [images[1], images[0]]
    with pytest.raises(
        ValueError, match=r"images\[1\].*'size__width' is 72000, beyond"
    ):
        store_features(features, images, folder, dtype="float16", images_at_once=1)
    store_features(features, images, folder.with_name("other"), dtype="float32")


def test_columns_that_float16_stores_too_coarsely_are_named(images, folder):
    """Two sizes that differ by less than a step become the same number."""
    size = Size()
    size.describe = lambda segmented: [1000 + segmented.shape[0] / 100, 7]
    features = make_features(level=size).fit(images)
    features[-1].transformer_list[1] = ("size", size)
    with pytest.warns(PrecisionWarning, match=r"\(1 of 249\): size__height; use"):
        store_features(features, images, folder, dtype="float16", images_at_once=1)
    store_features(features, images, folder.with_name("other"))  # no warning


def test_superpixels_can_be_given_instead_of_images(features, images, folder):
    """A union alone describes superpixels that exist already."""
    superpixels = features[0].transform(images)
    table = store_features(features[-1], superpixels, folder, images_at_once=3)
    np.testing.assert_array_equal(
        table.to_numpy(), features[-1].transform(superpixels).to_numpy()
    )
    others = SuperpixelSegmenter(25).transform(images)
    with pytest.raises(ValueError, match=r"images\[0\] has other superpixels"):
        store_features(features[-1], others, folder)


def test_two_writers_at_once_are_refused(features, images, folder):
    """The second process would overwrite the files of the first."""
    fcntl = pytest.importorskip("fcntl")
    folder.mkdir()
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match="another process is storing"):
            store_features(features, images, folder)
    store_features(features, images, folder)


def test_errors_have_the_numbers_of_all_images(features, images, folder):
    """A transformer counts images from the first of each call."""
    wrong = [*images[:3], images[3].astype(int)]
    with pytest.raises(ValueError, match=r"^images\[3\]: expected"):
        store_features(features, wrong, folder, images_at_once=2)


def test_wrong_arguments_are_refused_before_any_work(
    features, images, folder, tmp_path
):
    """The error says what was expected, and nothing is written."""
    with pytest.raises(TypeError, match=r"no method transform; .* pipeline\[:-1\]"):
        store_features(ZoomoutClassifier(), images, folder)
    with pytest.raises(ValueError, match="dtype: expected one of .* got 'float64'"):
        store_features(features, images, folder, dtype="float64")
    for number in (0, 2.5, True, "16"):
        with pytest.raises(ValueError, match="images_at_once: expected an integer"):
            store_features(features, images, folder, images_at_once=number)
    with pytest.raises(ValueError, match="images: expected at least one item"):
        store_features(features, [], folder)
    assert not folder.exists()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"empty folder.*thesis\.tex"):
        store_features(features, images, tmp_path)
    with pytest.raises(FileNotFoundError, match="contains no stored features"):
        open_features(tmp_path)


def test_tables_of_other_columns_or_images_are_refused(features, images, folder):
    """Each table has the same columns, and as many images as were given."""

    class Changing:
        def __init__(self, *results):
            self.results = list(results)

        def transform(self, images):
            return self.results.pop(0)

    table = features.transform(images)
    wide, narrow = table[:2], table[2:].select(["local"])
    with pytest.raises(ValueError, match=r"images\[2\]: expected the 249 columns"):
        store_features(Changing(wide, narrow), images, folder, images_at_once=2)
    with pytest.raises(ValueError, match="features of 4 images, got those of 2"):
        store_features(Changing(wide), images, folder.with_name("other"))


def test_another_level_can_be_described_from_stored_superpixels(
    features, images, folder
):
    """Tables in files of the same superpixels are stacked without a copy."""
    table = store_features(features, images, folder)
    size = Size(3.0).fit(table.superpixels)
    other = store_features(size, table.superpixels, folder.with_name("other"))
    both = np.concatenate([table, other], axis=1)
    assert both.in_files
    assert both.block_names == ["local", "size", "size_2"]
    assert both.blocks[2].values is other.blocks[0].values
    np.testing.assert_array_equal(
        both.to_numpy()[:, -2:], 3 * both.to_numpy()[:, -4:-2]
    )


def test_levels_that_share_forward_passes_can_be_stored(images, folder):
    """The union of a preset describes stored superpixels like others."""
    model = zoomout_pipeline(n_segments=20, levels=["distant", "maps"])
    model.set_params(zoomout__distant__input_size=96, zoomout__maps__input_size=96)
    features = model[:-1].fit(images[:1])
    table = store_features(features, images[:2], folder)
    again = features[-1].transform(table.superpixels)
    np.testing.assert_array_equal(table.to_numpy(), again.to_numpy())


def test_folders_with_other_files_are_refused(features, images, folder):
    """The files are not changed, even one with the name of a file of a table."""
    folder.mkdir()
    (folder / "lock").write_text("mine")
    (folder / "photograph.jpg").touch()
    with pytest.raises(ValueError, match=r"got one with \['photograph.jpg'\]"):
        store_features(features, images, folder)
    assert (folder / "lock").read_text() == "mine"


def test_images_without_a_length_are_refused(features, images, folder):
    """A generator can be read only once."""
    with pytest.raises(TypeError, match="expected a list of arrays, got generator"):
        store_features(features, (image for image in images), folder)
