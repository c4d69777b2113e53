import cv2
import numpy as np
import pytest

from sklearn_zoomout.descriptors import _sift as sift
from sklearn_zoomout.descriptors._filters import derivative, gaussian
from sklearn_zoomout.descriptors._sift import (
    _orientation_maps,
    dense_sift,
    grid,
    image_sift,
)


@pytest.fixture(scope="module")
def texture():
    """A random image with structure at the scale of the patches."""
    noise = np.random.default_rng(0).random((96, 128), dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.uint8(255 * (noise - noise.min()) / np.ptp(noise))


# The scale of OpenCV's octaves is 1.6 pixels of an image, which suits patches of 18
# pixels, or of an image of doubled size (octave -1, stored as 255) for 8 pixels.
@pytest.mark.parametrize("patch_size, octave", [(18, 0), (8, 255)])
def test_descriptors_agree_with_those_of_opencv(texture, patch_size, octave):
    """Pooling by matrix products gives what OpenCV computes for each keypoint."""
    points, ours = dense_sift(texture.astype(np.float32), patch_size)
    # OpenCV's cells are 1.5 times the size of the keypoint.
    keypoints = [
        cv2.KeyPoint(float(column), float(row), patch_size / 6, 0, 0, octave)
        for row, column in points
    ]
    _, theirs = cv2.SIFT_create().compute(texture, keypoints)
    assert theirs.shape == ours.shape == (12 * 16, 128)
    correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(ours, theirs, strict=True)]
    assert min(correlations) > 0.9
    assert np.mean(correlations) > 0.95


def test_points_lie_on_the_grid(texture):
    """Points come row by row, every 8 pixels, half a step from the border."""
    points, descriptors = dense_sift(texture.astype(np.float32), 8)
    rows, columns = grid(texture.shape)
    np.testing.assert_array_equal(rows, np.arange(4, 96, 8))
    np.testing.assert_array_equal(points[:, 0], np.repeat(rows, len(columns)))
    np.testing.assert_array_equal(points[:, 1], np.tile(columns, len(rows)))
    assert len(descriptors) == len(points)


def test_descriptors_are_normalized(texture):
    """They have norm 1, whatever the contrast."""
    channel = texture.astype(np.float32)
    _, descriptors = dense_sift(channel, 18)
    assert descriptors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(dense_sift(channel / 4, 18)[1], descriptors, atol=1e-5)


def test_direction_of_the_gradient_selects_the_orientation():
    """Brightness that grows to the right, then upwards, fills orientations 0 and 2."""
    ramp = np.tile(np.arange(40, dtype=np.float32), (40, 1))
    for image, orientation in [(ramp, 0), (ramp.T[::-1], 2)]:
        descriptors = dense_sift(np.ascontiguousarray(image), 8)[1]
        by_orientation = descriptors.reshape(-1, 4, 4, 8).sum(axis=(0, 1, 2))
        assert by_orientation[orientation] > 0.99 * by_orientation.sum()


def test_gradients_are_sums_of_the_two_nearest_orientations():
    """Each pixel's gradient is written in the two directions next to its own."""
    rng = np.random.default_rng(0)
    right, down = rng.normal(size=(2, 6, 9)).astype(np.float32)
    right[0] = 0
    down[1] = 0
    right[2], down[2] = 0, 0
    down[3] = right[3]
    angles = np.arange(8) * np.pi / 4
    # Even orientations have length 1, the diagonals sqrt(2).
    directions = np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    directions = np.sign(directions.round(3))
    maps = _orientation_maps(right, down)
    assert maps.min() >= 0
    sums = np.einsum("rod,ok->krd", maps.astype(float), directions)
    np.testing.assert_allclose(sums, 2 * np.stack([right, down]), atol=1e-6)
    angle = np.arctan2(-down, right) % (2 * np.pi)
    for (row, column), where in np.ndenumerate(angle / (np.pi / 4)):
        used = set(np.flatnonzero(maps[row, :, column]))
        assert used <= {int(where) % 8, int(np.ceil(where)) % 8}


@pytest.mark.parametrize("shape", [(96, 128), (33, 47), (7, 23), (1, 9)])
@pytest.mark.parametrize(
    ("patch_size", "step"), [(8, 8), (18, 8), (18, 5), (16, 6), (36, 4), (64, 10)]
)
def test_descriptors_are_sums_over_weighted_pixels(texture, shape, patch_size, step):
    """They equal those of one sum over all pixels for each cell, within 1e-5."""
    whole = channel = texture[: shape[0], : shape[1]].astype(np.float32)
    cell, scale = patch_size / 4, 1
    variance = (cell / 3) ** 2 - 0.25
    while cell >= 4:  # the next octave
        height, width = channel.shape
        channel = cv2.pyrDown(channel, borderType=cv2.BORDER_REPLICATE)
        channel = channel.reshape(-(-height // 2), -(-width // 2))
        variance, cell, scale = (variance - 1) / 4, cell / 2, 2 * scale
    channel = gaussian(channel, np.sqrt(variance))
    maps = _orientation_maps(derivative(channel, 1), derivative(channel, 0))
    maps = maps.astype(float) * np.tile([1, np.sqrt(2)], 4)[:, None]
    points, descriptors = dense_sift(whole, patch_size, step)
    # Corners, edges and the inside; bands of lines meet somewhere between them.
    for k in range(0, len(points), max(1, len(points) // 40)):
        shares = []
        for length, center in zip(channel.shape, points[k] / scale, strict=True):
            offset = np.arange(length) - center
            triangles = 1 - np.abs(offset / cell - np.arange(-1.5, 2)[:, None])
            weight = np.exp(-((offset / (2 * cell)) ** 2) / 2)
            shares.append(np.maximum(0, triangles) * weight)
        cells = np.einsum("ir,jc,roc->ijo", *shares, maps, optimize=False)
        expected = cells.ravel() / np.linalg.norm(cells)
        expected = np.minimum(expected, 0.2)
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(descriptors[k], expected, atol=1e-5)


def test_bands_of_any_width_give_the_same_descriptors(texture, monkeypatch):
    """How many lines are described at once makes no difference."""
    channel = texture.astype(np.float32)
    expected = [dense_sift(channel, size)[1] for size in (8, 18)]
    monkeypatch.setattr(sift, "_BAND", 1)  # a line at a time
    for size, descriptors in zip((8, 18), expected, strict=True):
        np.testing.assert_allclose(dense_sift(channel, size)[1], descriptors, atol=1e-6)


def test_uniform_patches_have_the_descriptor_zero():
    """Rounding errors of a constant image are not amplified."""
    channel = np.full((30, 40), 71.3, dtype=np.float32)
    for patch_size in (8, 18):
        assert not dense_sift(channel, patch_size)[1].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (5, 7), (8, 9)])
def test_small_images_have_at_least_one_point(shape):
    """Images smaller than a patch are described, without NaN."""
    lab = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    rows, columns = grid(shape)
    descriptors = image_sift(lab)
    assert descriptors.shape == (6, len(rows) * len(columns), 128)
    assert descriptors.shape[1] >= 1
    assert np.isfinite(descriptors).all()


def test_image_sift_orders_channels_and_patch_sizes(texture):
    """Descriptors are those of L 8, L 18, a 8, a 18, b 8 and b 18."""
    lab = np.dstack([texture, texture[::-1], texture[:, ::-1]]).astype(np.float32)
    expected = [
        dense_sift(np.ascontiguousarray(lab[..., c]), size)[1]
        for c in range(3)
        for size in (8, 18)
    ]
    # Channels that are blurred together differ in their last digits.
    np.testing.assert_allclose(image_sift(lab), expected, atol=1e-6)
