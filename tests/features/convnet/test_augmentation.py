"""What the images of a training step look like."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetSuperpixelFeatures,
    FineTuning,
    SegmentedImage,
    Superpixels,
)
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.features.convnet import _augmentation  # noqa: E402
from sklearn_zoomout.features.convnet._augmentation import Augmentation  # noqa: E402
from sklearn_zoomout.masks import UNLABELED  # noqa: E402


@pytest.fixture
def large():
    """A large photograph of noise, with superpixels of 101 x 67 pixels."""
    rng = np.random.default_rng(0)
    segments = np.kron(np.arange(60).reshape(6, 10), np.ones((101, 67), int))
    return SegmentedImage(
        rng.integers(0, 256, (*segments.shape, 3), np.uint8), segments
    )


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("side", [20, 300])  # of a superpixel; large ones are shrunk
def test_pixels_and_superpixels_stay_together(side, dtype):
    """However an image is scaled, moved and mirrored, each pixel keeps its label."""
    network = load_network(Backbone())
    segments = np.kron(np.arange(12).reshape(3, 4), np.ones((side, side), int))
    segments[0, 0] = -1  # a superpixel of a single pixel, which may be cut off
    colors = np.random.default_rng(0).integers(0, 256, (13, 3)).astype(np.uint8)
    image = colors[segments + 1] if dtype == "uint8" else colors[segments + 1] / 255
    colors = colors.astype(np.float32) / 255
    wide = SegmentedImage(image, segments)
    tall = SegmentedImage(image.transpose(1, 0, 2), segments.T)
    codes = [np.arange(13), np.arange(13) + 20]
    seen_sizes, mirrored = set(), set()
    augmentation = Augmentation(
        network, [wide, tall], codes, 128, np.random.default_rng(0)
    )
    for _ in range(6):
        pixels, labels, targets = augmentation.draw(np.array([0, 1]))
        assert pixels.shape == (2, 3, 128, 128)
        assert labels.shape == (2, 128, 128)
        assert targets.tolist() == [*codes[0], UNLABELED, *codes[1], UNLABELED]
        for i, outside in enumerate((13, 27)):
            shown = labels[i] != outside
            row = labels[i][64][shown[64]]  # numbers grow from left to right
            mirrored.add(bool(row[0] > row[-1]))
            seen_sizes.add(int(shown.sum()))
            expected = network.prepare(colors[None])[:, 0, labels[i][shown] - 14 * i]
            # Colors are mixed only at boundaries.
            distance = (pixels[i][:, shown] - expected).abs().amax(0)
            assert (distance < 1e-3).float().mean() > 0.8
            assert (pixels[i][:, ~shown] == 0).all()
    assert len(seen_sizes) > 6
    assert mirrored == {True, False}
    assert len(augmentation._shrunk) == (2 if side == 300 else 0)


def test_large_photographs_are_shrunk_once(large):
    """Pixels are means of areas, and labels those at the centers of pixels."""
    augmentation = Augmentation(None, [large], [None], 48, None)
    photograph = augmentation._read(0)
    assert augmentation._read(0) is photograph
    assert photograph.shape == large.shape
    height, width = photograph.image.shape[:2]
    assert max(height, width) == 96  # 3 / 2 times the largest of 4 / 3 times 48
    # The mean of n pixels of noise has a deviation smaller by the root of n.
    deviation = large.image.std() / np.sqrt(large.segments.size / (height * width))
    assert photograph.image.std() == pytest.approx(deviation, rel=0.1)
    rows = ((np.arange(height) + 0.5) * large.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * large.shape[1] / width).astype(int)
    np.testing.assert_array_equal(
        photograph.segments, large.segments[np.ix_(rows, columns)]
    )


def test_few_of_many_large_photographs_are_kept(large, monkeypatch):
    """Memory is bounded; the others are shrunk whenever they are drawn."""
    monkeypatch.setattr(_augmentation, "_KEPT", 1)
    augmentation = Augmentation(None, [large] * 3, [None] * 3, 48, None)
    first, second = augmentation._read(0), augmentation._read(1)
    assert augmentation._read(0) is first
    assert augmentation._read(1) is not second
    np.testing.assert_array_equal(second.image, first.image)


def test_training_on_float_images_is_that_on_uint8_images(large):
    """It depends on the image, not on the type in which it is stored."""
    fine_tune = FineTuning(max_steps=2, batch_size=2, input_size=96)
    level = ConvnetSuperpixelFeatures(Backbone(fine_tune=fine_tune), input_size=96)
    digests = set()
    for image in (large.image, large.image / 255):
        superpixels = Superpixels([SegmentedImage(image, large.segments)] * 2)
        level.fit(superpixels, [large.segments % 3] * 2)
        digests.add(level.weights_sha256_)
    assert len(digests) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 200)])
def test_tiny_and_narrow_images(shape):
    """They are shown on a canvas that is large enough for a network."""
    segments = np.arange(shape[0] * shape[1]).reshape(shape) % 4
    image = np.random.default_rng(0).random((*shape, 3))
    items = [SegmentedImage(image, segments), SegmentedImage(1 - image, segments)]
    masks = [np.zeros(shape, int), np.ones(shape, int)]
    fine_tune = FineTuning(max_steps=2, batch_size=2, input_size=96)
    level = ConvnetSuperpixelFeatures(Backbone(fine_tune=fine_tune), input_size=96)
    table = level.fit_transform(Superpixels(items), masks)
    assert np.isfinite(table.to_numpy()).all()
