"""What is kept of an image, when it is recalled, and what may go wrong with files."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FeatureCache,
    GlobalFeatures,
    LocalFeatures,
    ProximalFeatures,
    RegionFeatures,
    SegmentedImage,
    SuperpixelSegmenter,
    zoomout_pipeline,
)
from sklearn_zoomout import cache as cache_module
from sklearn_zoomout.cache import digest_state, entry_key
from sklearn_zoomout.exceptions import CacheWarning, SuperpixelWarning
from sklearn_zoomout.metrics import mean_iou_scorer

KEYS = [entry_key("state", str(i)) for i in range(400)]
SEGMENTER = SuperpixelSegmenter(n_segments=40)
COLORS = LocalFeatures(blocks=("color",))
FEATURES = [
    LocalFeatures(n_textons=8, n_words=20, random_state=0),
    ProximalFeatures(n_textons=8, n_words=20, random_state=0),
    ConvnetRegionFeatures(input_size=64),
    # In larger batches the last bits depend on the images beside it.
    GlobalFeatures(input_size=64, batch_size=1),
    ConvnetSuperpixelFeatures(input_size=64),
]


class MeanColor(RegionFeatures):
    """A user's features, of which the results may be kept."""

    block_name = "color"
    cache_version = 1

    def __init__(self, gain=1.0, memory=None, n_jobs=None):
        self.gain = gain
        self.memory = memory
        self.n_jobs = n_jobs

    def learn(self, superpixels, masks=None):
        self.mean_ = np.mean([s.rgb.mean(axis=(0, 1)) for s in superpixels], axis=0)

    def describe(self, segmented):
        labels = segmented.segments.ravel()
        channels = segmented.rgb.reshape(-1, 3).T
        sums = np.array([np.bincount(labels, channel) for channel in channels])
        return self.gain * ((sums / segmented.areas).T - self.mean_)

    def column_names(self):
        return ["red", "green", "blue"]


class Silent(MeanColor):
    """Inherits the number, which says nothing about its own code."""


def name_of(estimator):
    return type(estimator).__name__


def entries(folder):
    """Paths of the entries in a folder, sorted."""
    return sorted(folder.glob("*/*.npy"))


def size(folder):
    return sum(path.stat().st_size for path in entries(folder))


def values(table):
    return table.to_numpy()


def color_pipeline(memory=None):
    return Pipeline(
        [
            ("superpixels", with_memory(SEGMENTER, memory)),
            ("local", with_memory(COLORS, memory)),
        ]
    )


def with_memory(estimator, memory, **parameters):
    return clone(estimator).set_params(memory=memory, **parameters)


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def replace_by_directory(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "flipped bit": flip_bit,
    "empty": lambda path: path.write_bytes(b""),
    "pickle": lambda path: path.write_bytes(pickle.dumps(np.zeros(3))),
    "npy file": lambda path: np.save(path, np.zeros(3)),
    "another entry": lambda path: shutil.copy(
        next(p for p in entries(path.parents[1]) if p != path), path
    ),
}


def test_entry_is_what_was_put(tmp_path):
    """Values, dtype and shape come back; any other key is a miss."""
    cache = FeatureCache(tmp_path / "new" / "folder")
    arrays = [np.arange(6, dtype=np.uint16).reshape(2, 3), np.float32([0.1])]
    for key, array in zip(KEYS[:2], arrays, strict=True):
        assert cache.get(key) is None
        assert key not in cache
        cache.put(key, array)
        assert key in cache
        got = cache.get(key)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
    assert cache.get(KEYS[2]) is None


def test_entry_is_also_a_npy_file(tmp_path):
    """It can be looked at with numpy alone."""
    FeatureCache(tmp_path).put(KEYS[0], np.arange(3))
    np.testing.assert_array_equal(np.load(entries(tmp_path)[0]), [0, 1, 2])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("estimator", [SEGMENTER, COLORS], ids=name_of)
def test_damaged_entry_is_replaced(
    estimator, damage, images, superpixels, tmp_path, recwarn
):
    """It is told, the result is right, and the next time all is well."""
    inputs = images if estimator is SEGMENTER else superpixels
    kept = with_memory(estimator, tmp_path).fit(inputs)
    expected = kept.transform(inputs)
    damage(entries(tmp_path)[1])
    assert not recwarn.list
    for n_warnings in (1, 0):
        again = kept.transform(inputs)
        if estimator is SEGMENTER:
            for one, other in zip(again, expected, strict=True):
                np.testing.assert_array_equal(one.segments, other.segments)
        else:
            np.testing.assert_array_equal(values(again), values(expected))
        assert [w.category for w in recwarn.list] == n_warnings * [CacheWarning]
        assert all("damaged" in str(w.message) for w in recwarn.list)
        recwarn.clear()


def test_directory_in_the_place_of_an_entry(superpixels, tmp_path):
    """Nothing is removed that is no entry; the result is right all the same."""
    kept = with_memory(COLORS, tmp_path).fit(superpixels)
    expected = values(kept.transform(superpixels))
    replace_by_directory(entries(tmp_path)[1])
    with (
        pytest.warns(CacheWarning, match="cannot be read"),
        pytest.warns(CacheWarning, match="cannot be written"),
    ):
        again = kept.transform(superpixels)
    np.testing.assert_array_equal(values(again), expected)
    assert entries(tmp_path)[1].is_dir()


WRITER = """
import sys, warnings
import numpy as np
from sklearn_zoomout.cache import FeatureCache
warnings.simplefilter("error")
folder, key, value = sys.argv[1:]
cache = FeatureCache(folder, max_bytes=100_000)
for i in range(100):
    cache.put(key, np.full(5_000, float(value)))
    seen = cache.get(key)
    assert seen is None or (seen == seen[0]).all() and seen[0] in (1, 2)
    cache.put(f"{i:02x}".ljust(64, value), np.zeros(2_000))
"""


def test_two_processes_on_one_folder(tmp_path):
    """Both write one entry, and others that drive it out: no read is torn."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, KEYS[0], value],
            stderr=subprocess.PIPE,
            text=True,
        )
        for value in ("1", "2")
    ]
    for writer in writers:
        _, error = writer.communicate()
        assert writer.returncode == 0, error
    assert 30_000 < size(tmp_path) <= 100_000
    assert all(
        FeatureCache(tmp_path).get(p.stem) is not None for p in entries(tmp_path)
    )
    assert not list(tmp_path.glob("*/tmp*"))


def test_least_recently_used_entries_are_removed(tmp_path):
    """Room for ten of thirty: the one that is read stays, and the last ones."""
    array = np.zeros(1000)
    cache = FeatureCache(tmp_path, max_bytes=10 * 8160)
    for i, key in enumerate(KEYS[:30]):
        cache.put(key, array)
        path = tmp_path / key[:2] / f"{key}.npy"
        os.utime(path, (i, i))  # the clock of files is too coarse
        if i % 5 == 0:
            assert cache.get(KEYS[0]) is not None
        assert size(tmp_path) <= cache.max_bytes
    kept = [i for i, key in enumerate(KEYS[:30]) if key in cache]
    assert 9 <= len(kept) <= 10
    assert kept == [0, *range(30 - len(kept) + 1, 30)]


def test_bound_holds_without_looking_at_every_write(tmp_path, monkeypatch):
    """Two writers of small entries: at most a tenth too much, and few looks."""
    looks = []
    look = FeatureCache._remove_oldest
    monkeypatch.setattr(
        FeatureCache, "_remove_oldest", lambda self: looks.append(look(self))
    )
    array = np.zeros(4)
    caches = [FeatureCache(tmp_path, max_bytes=192 * 100) for _ in range(2)]
    for i, key in enumerate(KEYS):
        caches[i % 2].put(key, array)
        if i % 50 == 0:
            assert size(tmp_path) <= 1.1 * caches[0].max_bytes
    assert size(tmp_path) > 0.85 * caches[0].max_bytes
    assert 150 < len(looks) < 250  # every other write: two are a fiftieth


def test_only_its_own_files_are_removed(tmp_path):
    """What was left half-written goes after an hour; files of others stay."""
    cache = FeatureCache(tmp_path, max_bytes=2 * 8160)
    cache.put(KEYS[0], np.zeros(1000))
    folder = tmp_path / KEYS[0][:2]
    own = [folder / "tmpabcd1234", folder / "tmpabcd5678"]
    foreign = [folder / "data.npy", tmp_path / "0a", folder / "temporary"]
    for path in (*own, *foreign):
        path.write_bytes(bytes(10**5))
    old = time.time() - 4000
    for path in (own[0], *foreign):
        os.utime(path, (old, old))
    cache.put(KEYS[1], np.zeros(1000))
    assert not own[0].exists()
    assert own[1].exists()
    assert all(path.exists() for path in foreign)


def test_entry_larger_than_the_bound_is_not_kept(tmp_path):
    """It would drive out all others."""
    cache = FeatureCache(tmp_path, max_bytes=1000)
    cache.put(KEYS[0], np.zeros(10))
    with pytest.warns(CacheWarning, match="max_bytes is 1000, choose far more"):
        cache.put(KEYS[1], np.zeros(1000))
    assert [path.stem for path in entries(tmp_path)] == [KEYS[0]]


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_results_are_returned_when_nothing_can_be_written(
    number, images, tmp_path, monkeypatch
):
    """A read-only or full disk is told; what is there can be read."""

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    expected = values(color_pipeline().fit_transform(images))
    model = color_pipeline(tmp_path).fit(images[:2])
    model.transform(images[:2])
    monkeypatch.setattr(cache_module, "write_whole", fail)
    monkeypatch.setattr(cache_module.os, "utime", fail)
    with pytest.warns(CacheWarning, match=os.strerror(number)) as caught:
        np.testing.assert_array_equal(values(model.transform(images)), expected)
    assert len(caught) == 4  # the other two images, twice
    assert len(entries(tmp_path)) == 4


def test_folder_below_a_file_cannot_be_written(images, tmp_path):
    """The path of the folder leads through a file."""
    (tmp_path / "file").write_text("")
    segmenter = with_memory(SEGMENTER, tmp_path / "file" / "folder")
    with pytest.warns(CacheWarning, match="cannot be written"):
        assert len(segmenter.transform(images)) == len(images)


def test_cleared_cache_is_filled_again(images, tmp_path):
    """The folder can be deleted between any two calls."""
    segmenter = with_memory(SEGMENTER, tmp_path / "cache")
    for _ in range(2):
        segmenter.transform(images)
        assert len(entries(tmp_path / "cache")) == len(images)
        shutil.rmtree(tmp_path / "cache")


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("estimator", FEATURES, ids=name_of)
def test_features_are_the_same_bit_for_bit(estimator, n_jobs, superpixels, tmp_path):
    """None, half and all of the images are in the cache."""
    if "n_jobs" in estimator.get_params():
        estimator = clone(estimator).set_params(n_jobs=n_jobs)
    elif n_jobs:
        pytest.skip("works on one image at a time")
    expected = values(estimator.fit(superpixels).transform(superpixels))
    kept = with_memory(estimator, tmp_path).fit(superpixels)
    np.testing.assert_array_equal(
        values(kept.transform(superpixels[[1, 3]])),
        values(estimator.transform(superpixels[[1, 3]])),
    )
    for n_entries in (2, 4):
        assert len(entries(tmp_path)) == n_entries
        np.testing.assert_array_equal(values(kept.transform(superpixels)), expected)
    restored = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(values(restored.transform(superpixels)), expected)
    assert len(entries(tmp_path)) == 4


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_superpixels_are_the_same(images, n_jobs, tmp_path):
    """Label maps come back with their values and type."""
    segmenter = with_memory(SEGMENTER, tmp_path, n_jobs=n_jobs)
    for _ in range(2):
        results = zip(
            SEGMENTER.transform(images), segmenter.transform(images), strict=True
        )
        for expected, got in results:
            assert got.segments.dtype == expected.segments.dtype
            np.testing.assert_array_equal(got.segments, expected.segments)
    assert len(entries(tmp_path)) == 4


def describe_colors(memory, images):
    return values(color_pipeline(memory).fit_transform(images))


@pytest.mark.slow
def test_processes_share_the_cache(images, tmp_path):
    """They find each other's entries, and write no more than one process would."""
    expected = describe_colors(None, images)
    jobs = (delayed(describe_colors)(tmp_path, images) for _ in range(4))
    for described in Parallel(n_jobs=2)(jobs):
        np.testing.assert_array_equal(described, expected)
    assert len(entries(tmp_path)) == 2 * len(images)


# For each estimator, changes that give other results, and changes that do not.
CHANGES = [
    (
        SEGMENTER,
        [{"n_segments": 41}, {"compactness": 5.0}],
        [{"n_jobs": 2}, {"verbose": 0}],
    ),
    (
        LocalFeatures(blocks=("color", "texture"), n_textons=8, random_state=0),
        [{"blocks": ("texture", "color")}, {"n_textons": 9}, {"random_state": 1}],
        [{"n_jobs": 2}, {"n_words": 9}, {"dictionary_images": 4}],
    ),
    (
        ProximalFeatures(blocks=("color",), random_state=0),
        [{"radius": 1}, {"blocks": ("color", "location")}],
        [{"random_state": 1}, {"random_state": np.random.RandomState(0)}],
    ),
    (
        ConvnetRegionFeatures(input_size=64, crop_size=32, layers=("blocks.9",)),
        [
            *({"radius": 2}, {"pooling": "crop"}, {"layers": ("blocks.8",)}),
            *({"input_size": 65}, {"flip": True}, {"weights": None}),
            *({"weights": None, "random_state": 1}, {"dtype": "bfloat16"}),
        ],
        [{"random_state": 1}, {"batch_size": 2}],
    ),
    (
        GlobalFeatures(input_size=64, layers=("blocks.9",)),
        [{"layers": ("blocks.8",)}, {"input_size": 65}, {"flip": True}],
        [{"random_state": 1}, {"batch_size": 2}],
    ),
    (
        ConvnetSuperpixelFeatures(input_size=64, layers=("blocks.9",)),
        [{"radius": 1}, {"layers": ("blocks.8",)}, {"input_size": 65}],
        [{"random_state": 1}],
    ),
    (MeanColor(), [{"gain": 2.0}], [{"n_jobs": 2}]),
]


@pytest.mark.parametrize(
    ("estimator", "matter", "do_not"), CHANGES, ids=lambda x: name_of(x)
)
def test_parameters_in_the_key(
    estimator, matter, do_not, images, superpixels, tmp_path
):
    """Each parameter on which results depend gives entries of its own, no other."""
    inputs = images[:2] if estimator is SEGMENTER else superpixels[:2]
    kept = with_memory(estimator, tmp_path)
    kept.fit_transform(inputs)
    n_entries = len(entries(tmp_path))
    assert n_entries == 2
    for change in do_not:
        clone(kept).set_params(**change).fit_transform(inputs)
        assert len(entries(tmp_path)) == n_entries, change
    for change in matter:
        clone(kept).set_params(**change).fit_transform(inputs)
        n_entries += 2
        assert len(entries(tmp_path)) == n_entries, change


def test_weights_count_by_their_content(superpixels, tmp_path):
    """A file of the same weights recalls; another preprocessing does not."""
    from sklearn_zoomout.backbones.weights import EMBEDDED_FILE

    features = ConvnetSuperpixelFeatures(
        input_size=64, layers=("blocks.9",), memory=tmp_path / "cache"
    )
    expected = values(features.fit_transform(superpixels))
    path = shutil.copy(EMBEDDED_FILE, tmp_path / "zoomnet.safetensors")
    features.set_params(weights=path).fit(superpixels)
    np.testing.assert_array_equal(values(features.transform(superpixels)), expected)
    assert len(entries(tmp_path / "cache")) == 4
    features._preprocessing = features._preprocessing.replace("bgr=False", "bgr=True")
    features.transform(superpixels)
    assert len(entries(tmp_path / "cache")) == 8


def test_key_depends_on_values_and_not_on_objects():
    """Whether two attributes are one object or two equal ones makes no difference."""
    same, equal = ("blocks.9",), tuple(["blocks.9"])
    assert same is not equal
    keys = {
        digest_state(SEGMENTER, {"layers": same, "layers_": other})
        for other in (same, equal)
    }
    assert len(keys) == 1


def test_key_depends_on_values_and_not_on_where_they_are(tmp_path):
    """Processes of joblib see large arrays as maps of files."""
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    keys = {digest_state(SEGMENTER, {"words_": array}) for array in (values, mapped)}
    assert len(keys) == 1


def test_image_and_label_map_in_the_key(images, tmp_path):
    """One pixel, the type of the pixels, one label: each is another entry."""
    (segmented,) = SEGMENTER.transform(images[:1])
    image, segments = segmented.image, segmented.segments
    other_image, other_segments = image.copy(), segments.copy()
    other_image[5, 7, 1] ^= 1
    other_segments[0, 0] = segments[-1, -1]
    features = with_memory(COLORS, tmp_path).fit([segmented])
    for n_entries, pair in enumerate(
        [
            (image, segments),
            (other_image, segments),
            (image / 255, segments),
            (image, other_segments),
        ],
        1,
    ):
        for copy in (pair, [np.asfortranarray(part) for part in pair]):
            features.transform([SegmentedImage(*copy)])
            assert len(entries(tmp_path)) == n_entries
    segmenter = with_memory(SEGMENTER, tmp_path / "superpixels")
    turned = image.reshape(image.shape[1], image.shape[0], 3)  # the same bytes
    segmenter.transform([image, other_image, image / 255, turned, image])
    assert len(entries(tmp_path / "superpixels")) == 4


@pytest.mark.parametrize("estimator", [SEGMENTER, COLORS, MeanColor()], ids=name_of)
def test_versions_in_the_key(estimator, images, superpixels, tmp_path, monkeypatch):
    """Results of other code are not recalled: the library's, a class's, a package's."""
    inputs = images[:1] if estimator is SEGMENTER else superpixels[:1]
    kept = with_memory(estimator, tmp_path).fit(inputs)
    kept.transform(inputs)
    for n_entries, change in enumerate(
        [
            (type(estimator), "cache_version", 99),
            (cache_module, "__version__", "9.9"),
            (cache_module, "_FORMAT", -1),
            (cache_module, "_package_versions", lambda: ("numpy 9.9",)),
        ],
        2,
    ):
        monkeypatch.setattr(*change)
        for _ in range(2):
            kept.transform(inputs)
            assert len(entries(tmp_path)) == n_entries


def test_class_that_tells_no_version_is_refused(superpixels, tmp_path):
    """Also one that inherits from a class that does; without memory both work."""
    assert len(Silent().fit(superpixels).transform(superpixels)) == 4
    with pytest.raises(ValueError, match="Silent.*cache_version = 1"):
        Silent(memory=tmp_path).fit(superpixels)


def test_what_was_learned_is_in_the_key(superpixels, tmp_path):
    """Other training images give other entries of the same images."""
    for n_entries, train in ((4, [0, 1]), (4, [0, 1]), (8, [2])):
        kept = MeanColor(memory=tmp_path).fit(superpixels[train])
        expected = MeanColor().fit(superpixels[train]).transform(superpixels)
        got = kept.transform(superpixels)
        np.testing.assert_array_equal(values(got), values(expected))
        assert len(entries(tmp_path)) == n_entries


def test_label_maps_of_a_callable_are_not_kept(images, tmp_path):
    """Its code may change; features go by the label map itself."""
    for side in (10, 20):

        def squares(rgb, side=side):
            rows, columns = np.indices(rgb.shape[:2]) // side
            return rows * 1000 + columns

        segmenter = with_memory(SEGMENTER, tmp_path, method=squares)
        superpixels = segmenter.transform(images)
        got = with_memory(COLORS, tmp_path).fit_transform(superpixels)
        np.testing.assert_array_equal(
            values(got), values(clone(COLORS).fit_transform(superpixels))
        )
    assert len(entries(tmp_path)) == 2 * len(images)


def small_network():
    import torch

    return torch.nn.Conv2d(3, 4, kernel_size=3, stride=4)


def test_features_of_a_callable_backbone_are_not_kept(superpixels, tmp_path):
    """Its weights do not tell what it does with them."""
    features = GlobalFeatures(small_network, weights=None, input_size=64)
    expected = values(features.fit_transform(superpixels))
    with pytest.warns(CacheWarning, match="callable backbone"):
        kept = with_memory(features, tmp_path).fit_transform(superpixels)
    np.testing.assert_array_equal(values(kept), expected)
    assert not entries(tmp_path)


def test_warning_about_few_pixels_is_given_again(tmp_path):
    """Recalled superpixels are told of as those that are computed."""
    segmenter = SuperpixelSegmenter(n_segments=40, memory=tmp_path)
    for _ in range(2):
        with pytest.warns(SuperpixelWarning):
            segmenter.transform([np.zeros((3, 5, 3), dtype=np.uint8)])


def test_grid_search_describes_each_image_once(images, masks, tmp_path, monkeypatch):
    """Three candidates, three folds and a refit; the scores are those without it."""
    calls = []

    def count(kind, method):
        original = getattr(kind, method)

        def counted(self, item, *rest):
            image = item.image if isinstance(item, SegmentedImage) else item
            calls.append((method, image.tobytes()))
            return original(self, item, *rest)

        monkeypatch.setattr(kind, method, counted)

    count(SuperpixelSegmenter, "_slic")
    count(ConvnetSuperpixelFeatures, "describe")
    count(GlobalFeatures, "_square")
    model = zoomout_pipeline(
        levels=["global", "maps"],
        n_segments=40,
        estimator=DecisionTreeClassifier(random_state=0),
    )
    model.set_params(
        zoomout__global__input_size=64,
        zoomout__global__batch_size=1,
        zoomout__maps__input_size=64,
    )
    steps = ("superpixels", "zoomout__global", "zoomout__maps")
    scores = []
    for memory in (None, FeatureCache(tmp_path)):
        calls.clear()
        model.set_params(**{f"{step}__memory": memory for step in steps})
        search = GridSearchCV(
            model,
            {"classifier__estimator__max_depth": [1, 2, 4]},
            scoring=mean_iou_scorer,
            cv=3,
        ).fit(images, masks)
        results = search.cv_results_
        scores.append([results[f"split{i}_test_score"] for i in range(3)])
    assert len(calls) == len(set(calls)) == 3 * len(images)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.unique(scores).size > 3


def test_clone_and_pickle_keep_the_cache(tmp_path):
    """It is a parameter like others: copied, compared, shown."""
    cache = FeatureCache(tmp_path, max_bytes=1000)
    segmenter = SuperpixelSegmenter(memory=cache)
    for copy in (clone(segmenter), pickle.loads(pickle.dumps(segmenter))):
        assert copy.memory == cache
    assert "max_bytes=1000" in repr(segmenter)


def test_pipeline_hands_memory_to_every_step(tmp_path):
    """All steps that can keep results get the same cache."""
    model = zoomout_pipeline("arxiv2014", memory=tmp_path)
    memories = {
        name: value
        for name, value in model.get_params().items()
        if name.endswith("__memory")
    }
    assert set(memories.values()) == {tmp_path}
    assert len(memories) == 5
    zoomout_pipeline(levels=["maps"], memory=FeatureCache(tmp_path))


@pytest.mark.parametrize("estimator", [SEGMENTER, *FEATURES], ids=name_of)
def test_bad_memory_is_refused(estimator, images, superpixels, tmp_path):
    """A wrong type, or a file where the folder should be, before any work."""
    inputs = images if estimator is SEGMENTER else superpixels
    path = tmp_path / "file"
    path.write_text("")
    for memory in (3, True, np):
        with pytest.raises(InvalidParameterError, match="'memory' parameter"):
            with_memory(estimator, memory).fit(inputs)
    for memory in (path, str(path), FeatureCache(path)):
        with pytest.raises(ValueError, match="memory: expected a folder.*file' is"):
            with_memory(estimator, memory).fit(inputs)
        with pytest.raises(ValueError, match="memory: expected a folder"):
            clone(estimator).fit(inputs).set_params(memory=memory).transform(inputs)


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, "1", True, None])
def test_bad_max_bytes_is_refused(max_bytes):
    """A bound is a positive integer."""
    with pytest.raises(ValueError, match=r"max_bytes: expected a positive integer"):
        FeatureCache("folder", max_bytes)


def test_bad_folder_is_refused():
    """A folder is a path."""
    with pytest.raises(TypeError, match="folder: expected a path, got int"):
        FeatureCache(3)


def test_home_folder_is_found(monkeypatch, tmp_path):
    """A tilde is the user's own folder, not one of that name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    FeatureCache("~/cache").put(KEYS[0], np.zeros(3))
    assert len(entries(tmp_path / "cache")) == 1


def test_rows_of_a_wrong_shape_are_not_kept(superpixels, tmp_path, monkeypatch):
    """The error would come back after the mistake is mended."""
    features = MeanColor(memory=tmp_path).fit(superpixels)
    with monkeypatch.context() as mistake:
        mistake.setattr(MeanColor, "describe", lambda self, segmented: np.zeros((1, 7)))
        with pytest.raises(ValueError, match="describe to return shape"):
            features.transform(superpixels)
    assert features.transform(superpixels).n_columns == 3


def test_an_empty_folder_name_is_refused():
    """The entries would be scattered over the working directory."""
    with pytest.raises(ValueError, match="folder: expected a path, got an empty one"):
        FeatureCache("")
