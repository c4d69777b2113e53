"""What an entry of the cache depends on: image, parameters, weights, versions."""

import shutil

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
from sklearn.base import clone

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    LocalFeatures,
    ProximalFeatures,
    SegmentedImage,
)
from sklearn_zoomout import cache as cache_module
from sklearn_zoomout._utils import digests as digests_module

# For each estimator, changes that give other results, and changes that do not.
CHANGES = [
    (
        SEGMENTER,
        [{"n_segments": 41}, {"compactness": 5.0}],
        [{"n_jobs": 2}, {"verbose": 0}],
    ),
    (
        LocalFeatures(descriptors=("color", "texture"), n_textons=8, random_state=0),
        [{"descriptors": ("texture", "color")}, {"n_textons": 9}, {"random_state": 1}],
        [{"n_jobs": 2}, {"n_words": 9}, {"dictionary_images": 4}],
    ),
    (
        ProximalFeatures(descriptors=("color",), random_state=0),
        [{"radius": 1}, {"descriptors": ("color", "location")}],
        [{"random_state": 1}, {"random_state": np.random.RandomState(0)}],
    ),
    (
        ConvnetRegionFeatures(input_size=64, crop_size=32, layers=("blocks.9",)),
        [
            *({"radius": 2}, {"pooling": "crop"}, {"layers": ("blocks.8",)}),
            *({"input_size": 65}, {"backbone__flip": True}),
            *({"backbone__weights": None}, {"backbone__dtype": "bfloat16"}),
            {"backbone__weights": None, "backbone__random_state": 1},
        ],
        [{"backbone__random_state": 1}],
    ),
    (
        GlobalFeatures(crop_size=64, layers=("blocks.9",)),
        [{"layers": ("blocks.8",)}, {"crop_size": 65}, {"backbone__flip": True}],
        [{"backbone__random_state": 1}],
    ),
    (
        ConvnetSuperpixelFeatures(input_size=64, layers=("blocks.9",)),
        [{"radius": 1}, {"layers": ("blocks.8",)}, {"input_size": 65}],
        [{"backbone__random_state": 1}],
    ),
    (MeanColor(), [{"gain": 2.0}], [{"n_jobs": 2}]),
]


@pytest.mark.parametrize(
    ("estimator", "matter", "do_not"), CHANGES, ids=lambda x: name_of(x)
)
def test_parameters_in_the_key(
    estimator, matter, do_not, images, superpixels, tmp_path
):
    """A parameter that changes the results gives new entries; others do not."""
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
    """A copy of the weights has the same entries; another preprocessing has not."""
    from sklearn_zoomout.backbones._weights import EMBEDDED_FOLDER

    features = ConvnetSuperpixelFeatures(
        input_size=64, layers=("blocks.9",), memory=tmp_path / "cache"
    )
    expected = values(features.fit_transform(superpixels))
    path = shutil.copy(EMBEDDED_FOLDER / "zoomnet.safetensors", tmp_path)
    features.set_params(backbone__weights=path).fit(superpixels)
    np.testing.assert_array_equal(values(features.transform(superpixels)), expected)
    assert len(entries(tmp_path / "cache")) == 4
    features._preprocessing = features._preprocessing.replace("bgr=False", "bgr=True")
    features.transform(superpixels)
    assert len(entries(tmp_path / "cache")) == 8


def test_image_and_label_map_in_the_key(images, tmp_path):
    """Another pixel, dtype, label or shape gives another entry."""
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
    """Another version of a class, of this package or of others gives new entries."""
    inputs = images[:1] if estimator is SEGMENTER else superpixels[:1]
    kept = with_memory(estimator, tmp_path).fit(inputs)
    kept.transform(inputs)
    for n_entries, change in enumerate(
        [
            (type(estimator), "cache_version", 99),
            (digests_module, "__version__", "9.9"),
            (cache_module, "_FORMAT", -1),
            (digests_module, "_VERSIONS", ("numpy 9.9",)),
        ],
        2,
    ):
        monkeypatch.setattr(*change)
        for _ in range(2):
            kept.transform(inputs)
            assert len(entries(tmp_path)) == n_entries


def test_what_was_learned_is_in_the_key(superpixels, tmp_path):
    """Other training images give other entries for the same images."""
    for n_entries, train in ((4, [0, 1]), (4, [0, 1]), (8, [2])):
        kept = MeanColor(memory=tmp_path).fit(superpixels[train])
        expected = MeanColor().fit(superpixels[train]).transform(superpixels)
        got = kept.transform(superpixels)
        np.testing.assert_array_equal(values(got), values(expected))
        assert len(entries(tmp_path)) == n_entries
