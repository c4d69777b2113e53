"""Features in files: written once, resumed after a kill, never half-written."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_zoomout import (
    FeatureTable,
    GraphSmoothing,
    LocalFeatures,
    RegionFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    open_features,
    store_features,
    zoomout_pipeline,
)
from sklearn_zoomout.datasets import FileSequence, read_photograph
from sklearn_zoomout.exceptions import PrecisionWarning


class Size(RegionFeatures):
    """Two columns an image: its size, times a factor."""

    block_name = "size"
    per_image = True

    def __init__(self, factor=1.0):
        self.factor = factor

    def describe(self, segmented):
        return self.factor * np.array(segmented.shape)

    def column_names(self):
        return ["height", "width"]


class FailsAt(Size):
    """Stop at an image, as a kill would."""

    def __init__(self, factor=1.0):
        super().__init__(factor)

    width = None

    def describe(self, segmented):
        if segmented.shape[1] == FailsAt.width:
            raise KeyboardInterrupt
        return super().describe(segmented)


def make_features(n_segments=30, level=None):
    """Superpixels, and two levels of which one is the same for all of an image."""
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments)),
            (
                "levels",
                FeatureUnion(
                    [
                        ("local", LocalFeatures(("color", "location"))),
                        ("size", Size() if level is None else level),
                    ]
                ),
            ),
        ]
    )


@pytest.fixture(scope="module")
def features(images):
    return make_features().fit(images)


@pytest.fixture(scope="module")
def in_memory(features, images):
    return features.transform(images)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "features"


@pytest.mark.parametrize("images_at_once", [1, 3, 16])
def test_what_is_stored_is_what_was_computed(
    features, images, in_memory, folder, images_at_once
):
    """Rows, columns, offsets and label maps come back, whatever the chunks."""
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


def test_views_are_those_of_a_table_in_memory(features, images, in_memory, folder):
    """Indexing, also twice, selecting and stacking copy nothing and mix nothing up."""
    table = store_features(features, images, folder)
    view, expected = table[[3, 1, 0]][[2, 0]], in_memory[[0, 3]]
    np.testing.assert_array_equal(view.to_numpy(), expected.to_numpy())
    np.testing.assert_array_equal(
        view.superpixels[1].segments, expected.superpixels[1].segments
    )
    assert view.superpixels[-1].shape == images[3].shape[:2]
    assert len(view.superpixels[1:]) == 1
    with pytest.raises(IndexError):
        view.superpixels[2]
    parts = [table.select([name]) for name in ("size", "local")]
    again = np.concatenate(parts, axis=1)
    assert again.blocks[0].values is table.blocks[1].values


def test_a_block_of_images_is_stored_once_an_image(features, images, folder):
    """The files have the bytes of their values, and label maps two a pixel."""
    table = store_features(features, images, folder, dtype="float16")
    size = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert size["block_0.bin"] == table.n_rows * len(table.blocks[0].columns) * 2
    assert size["block_1.bin"] == len(images) * 2 * 2
    assert size["segments.bin"] == sum(2 * i.shape[0] * i.shape[1] for i in images)


def test_float16_is_within_half_a_step(features, images, in_memory, folder):
    """Relative to the value 2**-11, near zero 2**-25."""
    stored = store_features(features, images, folder, dtype="float16")
    exact = in_memory.to_numpy()
    error = np.abs(stored.to_numpy() - exact)
    assert error.max() > 0
    assert np.all(error <= np.maximum(2.0**-11 * np.abs(exact), 2.0**-25))


def test_values_beyond_float16_are_refused(images, folder):
    """Never stored as infinity; the image and the column are named."""
    features = make_features(level=Size(900.0)).fit(images)
    images = [images[1], images[0]]
    with pytest.raises(
        ValueError, match=r"images\[1\].*'size__width' is 72000, beyond"
    ):
        store_features(features, images, folder, dtype="float16", images_at_once=1)
    store_features(features, images, folder.with_name("other"), dtype="float32")


def test_columns_that_float16_blurs_are_named(images, folder):
    """Two sizes that differ by less than a step would become the same number."""
    size = Size()
    size.describe = lambda segmented: [1000 + segmented.shape[0] / 100, 7]
    features = make_features(level=size).fit(images)
    features[-1].transformer_list[1] = ("size", size)
    with pytest.warns(PrecisionWarning, match="1 columns .* size__height; store them"):
        store_features(features, images, folder, dtype="float16", images_at_once=1)
    store_features(features, images, folder.with_name("other"))  # no warning


@pytest.mark.parametrize("stop", [72, 90])
def test_an_interrupted_run_goes_on_where_it_stopped(
    images, in_memory, folder, monkeypatch, stop
):
    """What was finished is not computed again, and the result is the same."""
    features = make_features(level=FailsAt()).fit(images)
    monkeypatch.setattr(FailsAt, "width", stop)
    with pytest.raises(KeyboardInterrupt):
        store_features(features, images, folder, images_at_once=1)
    n_done = 1 if stop == 72 else 2
    with pytest.raises(ValueError, match=f"{n_done} of 4 images; call store_features"):
        open_features(folder)
    monkeypatch.setattr(FailsAt, "width", None)
    computed = []
    describe = Size.describe
    monkeypatch.setattr(
        Size,
        "describe",
        lambda self, item: computed.append(item.shape) or describe(self, item),
    )
    table = store_features(features, images, folder, images_at_once=2)
    # The first image is a second time, to see that the transformer is the same.
    assert computed == [images[0].shape[:2]] + [i.shape[:2] for i in images[n_done:]]
    np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())


def test_a_finished_folder_is_opened(features, images, folder, monkeypatch):
    """The same call twice computes once, but for the first image."""
    store_features(features, images, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    store_features(features, images, folder)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    assert before == after


def test_what_a_kill_left_behind_is_overwritten(images, in_memory, folder, monkeypatch):
    """Bytes beyond those that the manifest speaks of are part of no image."""
    features = make_features(level=FailsAt()).fit(images)
    monkeypatch.setattr(FailsAt, "width", 90)
    with pytest.raises(KeyboardInterrupt):
        store_features(features, images, folder, images_at_once=2)
    for path in folder.glob("*.bin"):
        with open(path, "ab") as file:
            file.write(b"half a chunk")
    monkeypatch.setattr(FailsAt, "width", None)
    table = store_features(features, images, folder, images_at_once=2)
    np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())


def test_a_process_that_is_killed_leaves_a_folder_to_resume(
    images, in_memory, folder, tmp_path
):
    """SIGKILL, in the middle of an image."""
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(os.path.dirname(__file__))!r})
from test_storage import *
FailsAt.describe = lambda self, item: (
    os.kill(os.getpid(), signal.SIGKILL) if item.shape[1] == 90
    else Size.describe(self, item)
)
images = FileSequence(read_photograph, {[str(path) for path in paths]!r})
features = make_features(level=FailsAt()).fit(images)
store_features(features, images, {str(folder)!r}, images_at_once=1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -9, done.stderr
    images = FileSequence(read_photograph, paths)
    features = make_features(level=FailsAt()).fit(images)
    table = store_features(features, images, folder)
    np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())


@pytest.mark.parametrize("name", ["block_0.bin", "segments.bin", "images.bin"])
@pytest.mark.parametrize("change", [-2, 2, None])
def test_a_damaged_file_is_refused(features, images, folder, name, change):
    """Truncated, too long or missing: the error says which, and what to do."""
    store_features(features, images, folder)
    path = folder / name
    if change is None:
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:change] if change < 0 else content + b"xx")
    for call in (
        lambda: open_features(folder),
        lambda: store_features(features, images, folder),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected .* bytes.*damaged"):
            call()


def test_other_features_than_those_in_the_folder_are_refused(features, images, folder):
    """Parameters, dtype, number and pixels of the images: the error says what."""
    store_features(features, images, folder)
    other = make_features(31).fit(images)
    with pytest.raises(ValueError, match="n_segments 30 there, 31 now"):
        store_features(other, images, folder)
    with pytest.raises(ValueError, match="dtype float32 there, float16 now"):
        store_features(features, images, folder, dtype="float16")
    with pytest.raises(ValueError, match="n_images 4 there, 3 now"):
        store_features(features, images[:3], folder)
    changed = [*images[:2], images[2] ^ 1, images[3]]
    with pytest.raises(ValueError, match=r"images\[2\] has other pixels"):
        store_features(features, changed, folder)


def test_a_transformer_that_was_fitted_on_others_is_refused(images, folder):
    """Equal parameters, another dictionary."""
    segmenter = SuperpixelSegmenter(30)

    def fit(some):
        local = LocalFeatures(("texture",), n_textons=4, random_state=0)
        return Pipeline([("superpixels", segmenter), ("local", local)]).fit(some)

    store_features(fit(images[:2]), images, folder)
    store_features(fit(images[:2]), images, folder)
    with pytest.raises(ValueError, match="'local__texton.* fitted on other images"):
        store_features(fit(images[2:]), images, folder)


def test_settings_that_do_not_matter_may_change(features, images, folder):
    """Going on with more jobs, or with a progress bar, gives the same features."""
    store_features(features, images, folder)
    other = make_features().set_params(superpixels__n_jobs=2).fit(images)
    store_features(other, images, folder)


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


def test_pixels_are_read_from_the_images(features, images, folder):
    """Only when asked for; another image in their place is noticed."""
    store_features(features, images, folder)
    table = open_features(folder)
    assert table.superpixels[0].areas.sum() == images[0].shape[0] * images[0].shape[1]
    with pytest.raises(ValueError, match=r"open_features\(folder, images\)"):
        _ = table.superpixels[1].image
    table = open_features(folder, images)[[2, 1]]
    np.testing.assert_array_equal(table.superpixels[0].image, images[2])
    table = open_features(folder, images[::-1])
    with pytest.raises(ValueError, match=r"images\[0\]: expected the image whose"):
        _ = table.superpixels[0].rgb
    with pytest.raises(ValueError, match="expected the 4 images .* got 3"):
        open_features(folder, images[:3])


def test_a_pickle_names_files_and_holds_no_values(features, images, folder):
    """Also that of a view, which is the same table afterwards."""
    store_features(features, images, folder)
    view = open_features(folder)[[2, 0]]
    _ = view.n_rows, view.image_of_row, view.superpixels
    content = pickle.dumps(view)
    names = len(pickle.dumps(view.columns))
    assert len(content) < names + 4000 < view.to_numpy().nbytes / 4
    again = pickle.loads(content)
    assert type(again.blocks[0].values) is np.memmap
    np.testing.assert_array_equal(again.to_numpy(), view.to_numpy())
    item = pickle.loads(pickle.dumps(view.superpixels[1]))
    np.testing.assert_array_equal(item.segments, view.superpixels[1].segments)


def test_a_classifier_learns_from_files_as_from_memory(
    features, images, masks, in_memory, folder
):
    """Fit, predict, score, clean-up and cross-validation take a stored table."""
    table = store_features(features, images, folder)
    classifier = ZoomoutClassifier((8,), max_epochs=200, random_state=0)
    predictions = classifier.fit(table, masks).predict(table)
    for prediction, other in zip(
        predictions, classifier.predict(in_memory), strict=True
    ):
        np.testing.assert_array_equal(prediction, other)
    assert classifier.score(table, masks) > 0.5
    np.testing.assert_allclose(classifier.mean_, in_memory.mean_and_scale()[0])
    smoothing = GraphSmoothing(classifier)
    assert smoothing.fit(table, masks).predict(table)[0].shape == masks[0].shape
    fast = ZoomoutClassifier((4,), max_epochs=2, random_state=0)
    assert np.isfinite(cross_val_score(fast, table, masks, cv=2)).all()


def test_masks_are_read_one_at_a_time(features, images, masks, folder, tmp_path):
    """Masks in files do not fit in memory together, either."""
    table = store_features(features, images, folder)
    for i, mask in enumerate(masks):
        np.save(tmp_path / f"{i}.npy", mask)
    files = FileSequence(np.load, [tmp_path / f"{i}.npy" for i in range(len(masks))])
    nets = [
        ZoomoutClassifier((4,), max_epochs=2, random_state=0).fit(table, y)
        for y in (masks, files)
    ]
    for one, other in zip(*(n.net_.module_.parameters() for n in nets), strict=True):
        assert (one == other).all()


def test_two_writers_at_once_are_refused(features, images, folder):
    """The second would spoil the files of the first."""
    fcntl = pytest.importorskip("fcntl")
    folder.mkdir()
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match="another process is storing"):
            store_features(features, images, folder)
    store_features(features, images, folder)


def test_the_numbering_of_a_chunk_is_explained(features, images, folder):
    """Errors of a transformer count from the first image of the chunk."""
    wrong = [*images[:3], images[3][..., 0]]
    with pytest.raises(ValueError, match=r"images\[1\]") as info:
        store_features(features, wrong, folder, images_at_once=2)
    assert info.value.__notes__ == ["images[0] is images[2] of store_features."]


def test_wrong_arguments_are_refused_before_any_work(
    features, images, folder, tmp_path
):
    """Each with what was expected, and nothing is written."""
    with pytest.raises(TypeError, match=r"no transform; .* pipeline\[:-1\]"):
        store_features(ZoomoutClassifier(), images, folder)
    with pytest.raises(ValueError, match="dtype: expected one of .* got 'float64'"):
        store_features(features, images, folder, dtype="float64")
    for number in (0, 2.5, True, "16"):
        with pytest.raises(ValueError, match="images_at_once: expected an integer"):
            store_features(features, images, folder, images_at_once=number)
    with pytest.raises(ValueError, match="images: expected at least one"):
        store_features(features, [], folder)
    assert not folder.exists()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"empty folder.*thesis\.tex"):
        store_features(features, images, tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no stored features"):
        open_features(tmp_path)


def test_a_kill_before_the_first_manifest_leaves_an_empty_folder(
    features, images, folder
):
    """Its temporary file is no other file in the user's folder."""
    folder.mkdir()
    (folder / "tmpx2f9").write_bytes(b'{"format": 1, "fin')
    assert len(store_features(features, images, folder)) == len(images)


def test_a_transformer_that_changes_its_mind_is_refused(features, images, folder):
    """Every chunk has the same columns, and as many images as went in."""

    class Fickle:
        def __init__(self, *results):
            self.results = list(results)

        def transform(self, images):
            return self.results.pop(0)

    table = features.transform(images)
    wide, narrow = table[:2], table[2:].select(["local"])
    with pytest.raises(ValueError, match=r"images\[2\]: expected the 249 columns"):
        store_features(Fickle(wide, narrow), images, folder, images_at_once=2)
    with pytest.raises(ValueError, match="features of 4 images, got those of 2"):
        store_features(Fickle(wide), images, folder.with_name("other"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format": 1}', "cannot be read"),
        (b'{"format": 2}', "expected format 1, got 2"),
        (b"\x80\x04.", "cannot be read"),
    ],
)
def test_a_manifest_that_is_none_is_refused(features, images, folder, content, message):
    """Nothing in it is run, and the error names the file."""
    store_features(features, images, folder)
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"manifest\.json.*{message}"):
        open_features(folder)


def test_another_level_can_be_described_from_stored_superpixels(
    features, images, folder
):
    """Levels that were stored apart, of the same superpixels, are stacked uncopied."""
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


def test_levels_that_share_a_pass_are_stored(images, folder):
    """The preset's union describes stored superpixels as it does others."""
    model = zoomout_pipeline(n_segments=20, levels=["distant", "maps"])
    model.set_params(zoomout__distant__input_size=96, zoomout__maps__input_size=96)
    features = model[:-1].fit(images[:1])
    table = store_features(features, images[:2], folder)
    again = features[-1].transform(table.superpixels)
    np.testing.assert_array_equal(table.to_numpy(), again.to_numpy())


def test_files_of_others_are_left_alone(features, images, folder):
    """Even one that is called like a file of this library."""
    folder.mkdir()
    (folder / "lock").write_text("mine")
    (folder / "photograph.jpg").touch()
    with pytest.raises(ValueError, match=r"got one with \['photograph.jpg'\]"):
        store_features(features, images, folder)
    assert (folder / "lock").read_text() == "mine"


def test_images_that_cannot_be_counted_are_refused(features, images, folder):
    """A generator can be gone through only once."""
    with pytest.raises(TypeError, match="expected a sequence, got generator"):
        store_features(features, (image for image in images), folder)
