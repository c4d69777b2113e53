"""Transformers with a cache: when a result is read from it, and damaged entries."""

import errno
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from cached_levels import (
    COLORS,
    SEGMENTER,
    MeanColor,
    entries,
    name_of,
    values,
    with_memory,
)
from joblib import Parallel, delayed, parallel_config
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
    SuperpixelSegmenter,
    zoomout_pipeline,
)
from sklearn_zoomout import cache as cache_module
from sklearn_zoomout.exceptions import CacheWarning, SuperpixelWarning
from sklearn_zoomout.metrics import mean_iou_scorer

FEATURES = [
    LocalFeatures(n_textons=8, n_words=20, random_state=0),
    ProximalFeatures(n_textons=8, n_words=20, random_state=0),
    ConvnetRegionFeatures(input_size=64),
    GlobalFeatures(crop_size=64),
    ConvnetSuperpixelFeatures(input_size=64),
]


class Unversioned(MeanColor):
    """Inherits a cache_version, which says nothing about its own code."""


def color_pipeline(memory=None):
    return Pipeline(
        [
            ("superpixels", with_memory(SEGMENTER, memory)),
            ("local", with_memory(COLORS, memory)),
        ]
    )


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


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("estimator", [SEGMENTER, COLORS], ids=name_of)
def test_damaged_entry_is_replaced(
    estimator, damage, images, superpixels, tmp_path, recwarn
):
    """A warning is given once, and the result is correct."""
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
    """It is not removed, and the result is correct."""
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


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_results_are_returned_when_nothing_can_be_written(
    number, images, tmp_path, monkeypatch
):
    """With a read-only or full disk each step warns once; old entries are read."""

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    expected = values(color_pipeline().fit_transform(images))
    model = color_pipeline(tmp_path).fit(images[:2])
    model.transform(images[:2])
    monkeypatch.setattr(cache_module, "write_whole", fail)
    monkeypatch.setattr(cache_module.os, "utime", fail)
    with pytest.warns(CacheWarning, match=os.strerror(number)) as caught:
        np.testing.assert_array_equal(values(model.transform(images)), expected)
    assert len(caught) == 2  # two steps, which keep two images each
    assert len(entries(tmp_path)) == 4


FULL_DISK = """
import errno, os, sys
from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, cache
from sklearn_zoomout.datasets import make_scenes
def fail(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
cache.write_whole = fail
images, _ = make_scenes(3, random_state=0)
for _ in range(2):
    superpixels = SuperpixelSegmenter(20, memory=sys.argv[1]).transform(images)
    LocalFeatures(("color",), memory=sys.argv[1]).fit_transform(superpixels)
"""


def test_python_shows_a_warning_once(tmp_path):
    """Unless a filter says otherwise, for all steps and images together."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "cache"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count(": CacheWarning: ") == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("backend", ["threading", "sequential"])
def test_an_unreadable_cache_is_told_once(images, tmp_path, monkeypatch, backend):
    """All label maps are computed again."""
    segmenter = with_memory(SEGMENTER, tmp_path, n_jobs=2)
    expected = segmenter.transform(images)
    for path in entries(tmp_path):
        replace_by_directory(path)
    monkeypatch.setattr(cache_module, "remove_abandoned", lambda folder: os.stat(""))
    with pytest.warns(CacheWarning) as caught, parallel_config(backend):
        again = segmenter.transform(images)
    assert sorted(str(w.message).partition(": ")[2][:20] for w in caught) == [
        "cannot be written (N",
        "entries cannot be re",
    ]
    for one, other in zip(again, expected, strict=True):
        np.testing.assert_array_equal(one.segments, other.segments)


def test_folder_below_a_file_cannot_be_written(images, tmp_path):
    """A warning is given, and the images are cut."""
    (tmp_path / "file").write_text("")
    segmenter = with_memory(SEGMENTER, tmp_path / "file" / "folder")
    with pytest.warns(CacheWarning, match="cannot be written"):
        assert len(segmenter.transform(images)) == len(images)


def test_cleared_cache_is_filled_again(images, tmp_path):
    """The folder can be deleted between two calls."""
    segmenter = with_memory(SEGMENTER, tmp_path / "cache")
    for _ in range(2):
        segmenter.transform(images)
        assert len(entries(tmp_path / "cache")) == len(images)
        shutil.rmtree(tmp_path / "cache")


IN_THREADS = [
    clone(level).set_params(n_jobs=2)
    for level in FEATURES
    if "n_jobs" in level.get_params()
]


@pytest.mark.parametrize("estimator", FEATURES + IN_THREADS, ids=name_of)
def test_features_are_the_same_bit_for_bit(estimator, superpixels, tmp_path):
    """None, half and all of the images are in the cache."""
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
    """Label maps from the cache have the same values and dtype."""
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
    """Processes use each other's entries, and write each entry once."""
    expected = describe_colors(None, images)
    jobs = (delayed(describe_colors)(tmp_path, images) for _ in range(4))
    for described in Parallel(n_jobs=2)(jobs):
        np.testing.assert_array_equal(described, expected)
    assert len(entries(tmp_path)) == 2 * len(images)


def test_class_without_cache_version_is_refused(superpixels, tmp_path):
    """It must be set in the class itself; without memory it is not needed."""
    assert len(Unversioned().fit(superpixels).transform(superpixels)) == 4
    with pytest.raises(ValueError, match="Unversioned.*cache_version = 1"):
        Unversioned(memory=tmp_path).fit(superpixels)


def test_label_maps_of_a_callable_are_not_kept(images, tmp_path):
    """Its code may change; features are found by the label map itself."""
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
    """Its weights do not show what its code does."""
    features = GlobalFeatures(small_network, crop_size=64)
    expected = values(features.fit_transform(superpixels))
    with pytest.warns(CacheWarning, match="callable backbone"):
        kept = with_memory(features, tmp_path).fit_transform(superpixels)
    np.testing.assert_array_equal(values(kept), expected)
    assert not entries(tmp_path)


def test_warning_about_few_pixels_is_given_every_time(tmp_path):
    """Superpixels from the cache give the same warning as computed ones."""
    segmenter = SuperpixelSegmenter(n_segments=40, memory=tmp_path)
    for _ in range(2):
        with pytest.warns(SuperpixelWarning):
            segmenter.transform([np.zeros((3, 5, 3), dtype=np.uint8)])


def test_grid_search_describes_each_image_once(images, masks, tmp_path, monkeypatch):
    """With three candidates, three folds and a refit; the scores do not change."""
    calls = []

    def count(kind, method):
        original = getattr(kind, method)

        def counted(self, item, *rest):
            image = item if isinstance(item, np.ndarray) else item.image
            calls.append((method, image.tobytes()))
            return original(self, item, *rest)

        monkeypatch.setattr(kind, method, counted)

    count(SuperpixelSegmenter, "_slic")
    count(ConvnetSuperpixelFeatures, "describe")
    count(GlobalFeatures, "_describe")
    model = zoomout_pipeline(
        levels=["global", "maps"],
        n_segments=40,
        estimator=DecisionTreeClassifier(random_state=0),
    )
    model.set_params(
        zoomout__global__crop_size=64,
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
    """It is a parameter like others: copied, compared and printed."""
    cache = FeatureCache(tmp_path, max_bytes=1000)
    segmenter = SuperpixelSegmenter(memory=cache)
    for copy in (clone(segmenter), pickle.loads(pickle.dumps(segmenter))):
        assert copy.memory == cache
    assert "max_bytes=1000" in repr(segmenter)


def test_pipeline_hands_memory_to_every_step(tmp_path):
    """All steps that have the parameter get the same cache."""
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
    """A wrong type, or a file instead of a folder, is an error before any work."""
    inputs = images if estimator is SEGMENTER else superpixels
    path = tmp_path / "file"
    path.write_text("")
    for memory in (3, True, np):
        with pytest.raises(InvalidParameterError, match="'memory' parameter"):
            with_memory(estimator, memory).fit(inputs)
    for memory in (path, str(path), FeatureCache(path)):
        with pytest.raises(ValueError, match="memory: expected a folder.*file'"):
            with_memory(estimator, memory).fit(inputs)
        with pytest.raises(ValueError, match="memory: expected a folder"):
            clone(estimator).fit(inputs).set_params(memory=memory).transform(inputs)


def test_rows_of_a_wrong_shape_are_not_kept(superpixels, tmp_path, monkeypatch):
    """They would be read after the code is corrected."""
    features = MeanColor(memory=tmp_path).fit(superpixels)
    with monkeypatch.context() as mistake:
        mistake.setattr(MeanColor, "describe", lambda self, segmented: np.zeros((1, 7)))
        with pytest.raises(ValueError, match="describe to return shape"):
            features.transform(superpixels)
    assert features.transform(superpixels).n_columns == 3
