"""Averages of feature maps over boxes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_zoomout.features.convnet._pooling import BoxPooling  # noqa: E402


def average_by_cells(feature_map, box, shape):
    """Sum cell by cell, each times the area of it that the box covers."""
    channels, height, width = feature_map.shape
    top, bottom = box[0] * height / shape[0], box[2] * height / shape[0]
    left, right = box[1] * width / shape[1], box[3] * width / shape[1]
    total, area = np.zeros(channels), 0.0
    for i in range(height):
        for j in range(width):
            down = max(0.0, min(bottom, i + 1) - max(top, i))
            across = max(0.0, min(right, j + 1) - max(left, j))
            total += down * across * feature_map[:, i, j]
            area += down * across
    return total / area


@pytest.fixture
def feature_map():
    return torch.rand(5, 4, 7, generator=torch.Generator().manual_seed(0))


BOXES = np.array(
    [[0, 0, 50, 60], [3, 10, 4, 11], [0, 0, 13, 9], [31, 22, 50, 60], [49, 59, 50, 60]]
)


def test_average_counts_cells_by_covered_area(feature_map):
    """A cell that a box covers in part has a smaller weight."""
    pooled = BoxPooling(feature_map, (50, 60)).average(BOXES)
    expected = [average_by_cells(feature_map.numpy(), box, (50, 60)) for box in BOXES]
    assert pooled.shape == (5, 5, 1, 1)
    assert pooled.dtype == torch.float32
    np.testing.assert_allclose(pooled[:, :, 0, 0], expected, rtol=1e-5)


def test_box_of_the_whole_image_is_the_global_average(feature_map):
    """It equals global average pooling."""
    pooled = BoxPooling(feature_map, (50, 60)).average(BOXES[:1])[0, :, 0, 0]
    torch.testing.assert_close(pooled, feature_map.mean(dim=(1, 2)))


def test_grid_cuts_boxes_into_equal_parts(feature_map):
    """Part (i, j) of a grid equals the average over its own box."""
    box = np.array([[2, 6, 32, 36]])
    pools = BoxPooling(feature_map, (50, 60))
    parts = pools.average(box, grid=3)
    assert parts.shape == (1, 5, 3, 3)
    single = pools.average(np.array([[12, 26, 22, 36]]))
    torch.testing.assert_close(parts[0, :, 1, 2], single[0, :, 0, 0])
    mean = pools.average(box)[0, :, 0, 0]
    torch.testing.assert_close(parts.mean(dim=(2, 3))[0], mean)


def test_layout_in_memory_does_not_matter(feature_map):
    """Maps of networks come with their channels last."""
    last = feature_map.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    torch.testing.assert_close(
        BoxPooling(last, (50, 60)).average(BOXES),
        BoxPooling(feature_map, (50, 60)).average(BOXES),
    )


def test_small_box_far_from_the_origin_keeps_its_digits():
    """Differences of large running sums keep a small average."""
    feature_map = torch.full((1, 200, 300), 1000.0)
    feature_map[0, -1, -1] = 0.001
    box = np.array([[199, 299, 200, 300]])
    pooled = BoxPooling(feature_map, (200, 300)).average(box)
    assert pooled.item() == pytest.approx(0.001, rel=1e-3)
