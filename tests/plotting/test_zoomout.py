"""Pictures of the zoom-out levels: the regions drawn are those of the geometry."""

import matplotlib
import numpy as np
import pytest

from sklearn_zoomout import SuperpixelSegmenter
from sklearn_zoomout.plotting import ZoomoutDisplay

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    """Close all figures after each test."""
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def picture(ax):
    """Return the array that an axes shows."""
    return np.asarray(ax.get_images()[0].get_array())


def test_crops_are_the_regions(superpixels):
    """Each level's crop has the box of its region and hides what lies outside."""
    segmented = superpixels[0]
    number = int(segmented.segments[30, 40])
    display = ZoomoutDisplay(segmented, [number]).plot()
    for level, radius in (("local", 0), ("proximal", 2)):
        top, left, bottom, right = segmented.region_boxes(radius)[number]
        crop = picture(display.axes_[level][0])
        assert crop.shape == (bottom - top, right - left, 3)
        near = segmented.neighborhood(radius)[[number]].toarray()[0] > 0
        inside = near[segmented.segments][top:bottom, left:right]
        pixels = segmented.rgb[top:bottom, left:right]
        np.testing.assert_array_equal(crop[inside], pixels[inside])
        assert (crop[~inside] == 1).all()
        area = segmented.region_areas(radius)[number]
        assert display.axes_[level][0].get_xlabel() == f"{area} pixels"
    top, left, bottom, right = segmented.region_boxes(3)[number]
    np.testing.assert_array_equal(
        picture(display.axes_["distant"][0]), segmented.rgb[top:bottom, left:right]
    )
    np.testing.assert_array_equal(picture(display.axes_["global"][0]), segmented.rgb)


def test_distant_box_is_drawn_around_its_pixels(superpixels):
    """The orange rectangle lies on the outer edges of the box's pixels."""
    segmented = superpixels[1]
    display = ZoomoutDisplay(segmented, [5], distant_radius=1).plot()
    (box,) = display.axes_["image"].patches
    top, left, bottom, right = segmented.region_boxes(1)[5]
    assert box.get_xy() == (left - 0.5, top - 0.5)
    assert (box.get_width(), box.get_height()) == (right - left, bottom - top)


def test_outlines_enclose_the_regions(superpixels):
    """The contours span the bounding boxes of radius 3, 2 and 0, edges included."""
    from matplotlib.contour import ContourSet

    segmented = superpixels[0]
    display = ZoomoutDisplay(segmented, [0]).plot()
    contours = display.axes_["image"].findobj(ContourSet)
    assert len(contours) == 3
    for contour, radius in zip(contours, (3, 2, 0), strict=True):
        corners = contour.get_paths()[0].vertices
        top, left, bottom, right = segmented.region_boxes(radius)[0]
        np.testing.assert_allclose(
            [*corners.min(axis=0), *corners.max(axis=0)],
            [left - 0.5, top - 0.5, right - 0.5, bottom - 0.5],
        )


def test_one_row_for_each_superpixel(images):
    """from_image cuts the image and draws a row for each of three superpixels."""
    segmenter = SuperpixelSegmenter(n_segments=40)
    display = ZoomoutDisplay.from_image(images[0], segmenter=segmenter)
    assert len(set(display.superpixels)) == 3
    for level in ("local", "proximal", "distant", "global"):
        assert len(display.axes_[level]) == 3
    assert [ax.get_ylabel() for ax in display.axes_["local"]] == ["A", "B", "C"]


def test_image_is_left_as_it_was(superpixels):
    """Darkened borders are drawn on a copy."""
    segmented = superpixels[0]
    before = segmented.image.copy()
    ZoomoutDisplay(segmented).plot()
    np.testing.assert_array_equal(segmented.image, before)


def test_float_image_is_left_as_it_was():
    """Also for images that are float32 already, which need no conversion."""
    image = np.random.default_rng(0).random((40, 50, 3), dtype=np.float32)
    image[:, 25:] /= 8
    before = image.copy()
    segmenter = SuperpixelSegmenter(method=lambda rgb: np.indices((40, 50))[1] // 10)
    ZoomoutDisplay.from_image(image, [0], segmenter=segmenter)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("wrong", [[], [-1], [10_000], [[1, 2]], [0.5], 3])
def test_unknown_superpixel_is_an_error(superpixels, wrong):
    """Numbers that are no superpixels are refused, with a way to find them."""
    with pytest.raises(ValueError, match=r"segmented.segments\[row, column\]"):
        ZoomoutDisplay(superpixels[0], wrong)


def test_superpixels_of_several_images_are_refused(superpixels):
    """One segmented image is drawn at a time."""
    with pytest.raises(TypeError, match=r"superpixels\[0\], got Superpixels"):
        ZoomoutDisplay(superpixels)


def test_bands_are_drawn_as_colors(images):
    """The first three of them."""
    bands = [np.dstack([image, image[..., :2]]) for image in images[:1]]
    (segmented,) = SuperpixelSegmenter(n_segments=40).fit_transform(bands)
    display = ZoomoutDisplay(segmented).plot()
    assert display.figure_ is not None
