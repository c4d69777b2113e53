"""Windows are described as the image is that they are cut from."""

import numpy as np
import pytest

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    SegmentedImage,
    Superpixels,
    SuperpixelSegmenter,
)
from sklearn_zoomout.datasets import make_scenes


@pytest.fixture(scope="module")
def image():
    """An image of 9 scenes."""
    images, _ = make_scenes(n_images=9, random_state=0)
    rows = [
        np.concatenate([one[:100, :130] for one in images[k : k + 3]], axis=1)
        for k in range(0, 9, 3)
    ]
    return np.concatenate(rows)


def test_windows_have_the_superpixels_of_the_image(image):
    """Far from their borders the label maps have the same boundaries."""
    segmenter = SuperpixelSegmenter(segment_area=81)
    whole, window = segmenter.fit_transform([image, image[45:270, 90:360]])
    cut = whole.segments[45:270, 90:360][81:-81, 81:-81]
    own = window.segments[81:-81, 81:-81]
    _, overlaps = np.unique(
        np.stack([cut, own]).reshape(2, -1), axis=1, return_counts=True
    )
    largest = np.sort(overlaps)[-len(np.unique(cut)) :].sum()
    assert largest / cut.size > 0.99


def test_superpixels_have_the_stated_area(image):
    """In images of any size."""
    segmenter = SuperpixelSegmenter(segment_area=100)
    for part in (image, image[:60, :90]):
        (segmented,) = segmenter.fit_transform([part])
        assert segmented.areas.mean() == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize("level", [ConvnetRegionFeatures, ConvnetSuperpixelFeatures])
def test_windows_have_the_features_of_the_image(image, level):
    """Far from their borders, since padding of the network reaches into them."""
    segments = np.arange(300)[:, None] // 15 * 26 + np.arange(390) // 15
    box = slice(0, 256), slice(64, 384)
    both = Superpixels(
        [
            SegmentedImage(image[:, :384], segments[:, :384]),
            SegmentedImage(image[box], segments[box]),
        ]
    )
    transformer = level(radius=0, input_scale=1)
    whole, window = transformer.fit_transform(both)[[0]], None
    window = transformer.transform(both[1:])
    center = segments[120, 210]
    row = np.flatnonzero(np.unique(segments[:, :384]) == center)[0]
    own = np.flatnonzero(np.unique(segments[box]) == center)[0]
    expected, got = whole.to_numpy()[row], window.to_numpy()[own]
    assert np.corrcoef(expected, got)[0, 1] > 0.98


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (90, 33)])
def test_images_of_any_shape_fit_into_blocks(shape):
    """Those without whole blocks too."""
    image = np.full((*shape, 3), 100, dtype=np.uint8)
    superpixels = SuperpixelSegmenter(segment_area=50).fit_transform([image])
    for level in (ConvnetRegionFeatures, ConvnetSuperpixelFeatures):
        table = level(input_scale=0.7).fit_transform(superpixels)
        assert np.isfinite(table.to_numpy()).all()
