"""The pixels of shapes, exactly."""

import numpy as np
import pytest

from sklearn_zoomout.masks._shapes import (
    Drawing,
    Shape,
    ellipse,
    paint,
    pixels,
    polygon,
    turn,
)

SIZE = (30, 50)
# The centers of all pixels.
Y, X = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5


def drawn(shape, size=SIZE):
    """Return which pixels a shape has."""
    mask = paint(Drawing("a.json", "a", size, [shape]), {"a": 1}, 0)
    assert mask.dtype == np.int32
    return mask == 1


def line(*points):
    """Return a line."""
    return Shape("a", "line", np.array(points, dtype=np.float64))


def test_a_pixel_belongs_to_an_area_if_its_center_does():
    """Corners are at the edges of pixels, and need not be floats."""
    corners = polygon("a", [[2, 3], [12, 3], [12, 9], [2, 9]])
    assert corners.points.dtype == np.float64
    np.testing.assert_array_equal(
        drawn(corners), (X > 2) & (X < 12) & (Y > 3) & (Y < 9)
    )


def test_an_ellipse_has_128_corners_on_it():
    """They are evenly spaced, so that none is twice there."""
    shape = ellipse("a", 20, 10, 8, 4)
    assert len(np.unique(shape.points.round(9), axis=0)) == 128
    across, down = ((shape.points - (20, 10)) / (8, 4)).T
    np.testing.assert_allclose(across**2 + down**2, 1)
    inside = ((X - 20) / 8) ** 2 + ((Y - 10) / 4) ** 2
    assert drawn(shape)[inside < 0.98].all()
    assert not drawn(shape)[inside > 1].any()


def test_a_line_is_10_pixels_wide_and_open():
    """OpenCV may add one on a side; the last point is not joined to the first."""
    found = drawn(line((8, 20), (8, 8), (42, 8)))
    for across in (np.flatnonzero(found[18]), np.flatnonzero(found[:, 30])):
        assert across[0] == 3
        assert across[-1] in (12, 13)
    assert not found[20, 30]


def test_a_point_is_a_disk_of_radius_5():
    """Around its place, to the pixel, and cut off at the edges."""
    for x, y in [(20.5, 10.5), (14, 17), (0.5, 1), (49, 29.5)]:
        shape = Shape("a", "points", np.array([[x, y]]))
        np.testing.assert_array_equal(drawn(shape), np.hypot(X - x, Y - y) < 5)


@pytest.mark.parametrize("corner", [(-2, 4), (27, 4), (7, -3), (7, 44), (3, 5)])
def test_pixels_lie_where_they_were_and_are_cut_off_at_the_edges(corner):
    """The corner is the row and the column of the first pixel of the picture."""
    inside = np.zeros((5, 9), dtype=bool)
    inside[1:, 2:] = True
    inside[2, 4] = False
    rows, columns = np.nonzero(inside)
    rows, columns = rows + corner[0], columns + corner[1]
    kept = (rows >= 0) & (rows < SIZE[0]) & (columns >= 0) & (columns < SIZE[1])
    expected = np.zeros(SIZE, dtype=bool)
    expected[rows[kept], columns[kept]] = True
    np.testing.assert_array_equal(drawn(pixels("a", inside, corner)), expected)


def test_shapes_turn_clockwise_around_any_point():
    """A quarter turn moves what lies to the right of the point below it."""
    turned = turn(polygon("a", [[12, 5], [16, 5], [16, 7]]), 90, 10, 5)
    np.testing.assert_allclose(turned.points, [[10, 7], [10, 11], [8, 11]])


@pytest.mark.parametrize("points", [[[0.0]], [[1.0, 2.0, 3.0]], [1.0, 2.0]])
def test_positions_are_pairs(points):
    """A file may hold one number, or three."""
    with pytest.raises(ValueError, match="expected pairs of positions x, y of 'a'"):
        Shape("a", "points", np.array(points))


def test_numbers_of_classes_are_labels():
    """A larger number is no label, and the error names the file."""
    assert Drawing("a.json", "a", SIZE, [], {"b": 2**31 - 1}).numbers == {
        "b": 2**31 - 1
    }
    for number in (2**31, -(2**31), 10**30):
        with pytest.raises(ValueError, match="a.json: expected numbers of classes"):
            Drawing("a.json", "a", SIZE, [], {"b": number})
