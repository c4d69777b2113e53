import numpy as np

from sklearn_zoomout.descriptors._location import location_features, location_names


def test_the_middle_is_zero_and_sides_are_mirrored():
    """Opposite places differ in sign only, and their absolute values are equal."""
    middle = location_features(np.array([[4.5, 9.5]]), (10, 20))
    np.testing.assert_array_equal(middle, np.zeros((1, 4)))
    corners = location_features(np.array([[0, 0], [9, 19]]), (10, 20))
    np.testing.assert_allclose(corners[0], [-0.45, -0.475, 0.45, 0.475], rtol=1e-6)
    np.testing.assert_allclose(corners[1], [0.45, 0.475, 0.45, 0.475], rtol=1e-6)


def test_location_does_not_depend_on_the_image_size():
    """The same relative place of a larger image has the same location."""
    small = location_features(np.array([[2.0, 5.0]]), (5, 15))
    large = location_features(np.array([[24.5, 54.5]]), (50, 150))
    np.testing.assert_allclose(small, large, atol=1e-6)


def test_names_match_the_columns():
    """There are four names, one per column."""
    assert len(set(location_names())) == 4
    assert location_features(np.zeros((3, 2)), (1, 1)).shape == (3, 4)
