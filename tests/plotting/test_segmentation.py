"""Pictures of label maps: which colors and names stand where."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sklearn_zoomout.plotting import PALETTE, UNLABELED_COLOR, SegmentationDisplay

matplotlib.use("Agg")

# Machado et al. 2009, severity 1; they act on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


class Rotated:
    """An estimator that predicts from memory."""

    classes_ = np.array([0, 1, 2, 7])

    def __init__(self, masks):
        self.masks = masks

    def predict(self, images):
        predictions = np.empty(len(images), dtype=object)
        predictions[:] = [np.roll(mask, 3, axis=1) for mask in self.masks]
        return predictions


@pytest.fixture(autouse=True)
def close_figures():
    """Close all figures after each test."""
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def picture(ax):
    """Return the array that an axes shows."""
    return np.asarray(ax.get_images()[0].get_array())


def legend_of(display):
    """Return the names in the legend with their colors."""
    legend = display.figure_.legends[0]
    return {
        text.get_text(): to_rgb(patch.get_facecolor())
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
    }


@pytest.mark.parametrize("vision", VISIONS)
def test_palette_survives_color_blindness(vision):
    """The first eight colors differ clearly in every vision, and all 21 differ."""
    from skimage.color import rgb2lab

    rgb = np.array([to_rgb(color) for color in (*PALETTE, UNLABELED_COLOR)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(VISIONS[vision]), 0, 1)
    back = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(back[None])[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1000 * np.eye(len(lab))
    assert apart.min() > 10
    first = [*range(8), len(PALETTE)]
    assert apart[np.ix_(first, first)].min() > 14


def test_columns_are_image_truth_and_prediction(images, masks):
    """Each row shows the image and the two label maps in their colors."""
    predictions = [np.roll(mask, 3, axis=1) for mask in masks]
    display = SegmentationDisplay.from_predictions(images, predictions, masks)
    assert display.axes_.shape == (4, 3)
    titles = [ax.get_title() for ax in display.axes_[0]]
    assert titles == ["image", "truth", "prediction"]
    colors = np.array([to_rgb(color) for color in PALETTE])
    for row, image, mask, labels in zip(
        display.axes_, images, masks, predictions, strict=True
    ):
        np.testing.assert_allclose(picture(row[0]), image / 255, atol=1e-6)
        np.testing.assert_allclose(picture(row[1]), colors[mask])
        np.testing.assert_allclose(picture(row[2]), colors[labels])


def test_from_estimator_predicts(images, masks):
    """The predictions of the estimator are drawn, colored by its classes_."""
    labels = [np.where(mask == 2, 7, mask) for mask in masks]
    display = SegmentationDisplay.from_estimator(Rotated(labels), images, labels)
    assert display.classes == [0, 1, 2, 7]
    expected = np.roll(labels[0], 3, axis=1)
    seven = picture(display.axes_[0, 2])[expected == 7]
    np.testing.assert_allclose(seven, np.broadcast_to(to_rgb(PALETTE[3]), seven.shape))


def test_share_of_right_pixels_leaves_unlabeled_out(images, masks):
    """Below a prediction stands the accuracy over its labeled pixels."""
    truth = masks[0].copy()
    truth[:10] = -1
    wrong = truth.copy()
    wrong[10:20] = 2 - wrong[10:20]
    known = truth != -1
    share = (wrong[known] == truth[known]).mean()
    wrong[:10] = 0
    display = SegmentationDisplay.from_predictions(images[:1], [wrong], [truth])
    assert 0.5 < share < 1
    text = display.axes_[0, 2].get_xlabel()
    assert text == f"{share:.1%} of the pixels right"


def test_legend_names_what_occurs(images, masks):
    """The legend holds the names of the classes that occur, and unlabeled."""
    truth = masks[0].copy()
    truth[truth == 1] = 3
    truth[0] = -1
    names = ["sky", "grass", "wall", "path"]
    display = SegmentationDisplay(images[:1], None, [truth], class_names=names).plot()
    assert legend_of(display) == {
        "sky": to_rgb(PALETTE[0]),
        "wall": to_rgb(PALETTE[2]),
        "path": to_rgb(PALETTE[3]),
        "unlabeled": to_rgb(UNLABELED_COLOR),
    }
    np.testing.assert_allclose(
        picture(display.axes_[0, 1])[0, 0], to_rgb(UNLABELED_COLOR)
    )


def test_names_may_be_a_dict(images, masks):
    """Labels need not count from 0."""
    truth = np.array([10, 20, -1])[masks[0]]
    display = SegmentationDisplay(
        images[:1], None, [truth], class_names={20: "twenty"}
    ).plot()
    assert display.classes == [10, 20]
    assert list(legend_of(display)) == ["10", "twenty", "unlabeled"]


def test_image_alone(images):
    """Without any labels there is one column and nothing to explain."""
    display = SegmentationDisplay(images, None).plot()
    assert display.axes_.shape == (4, 1)
    assert display.legend_handles() == []


def test_draws_on_given_axes(images, masks):
    """Axes of one's own are drawn on, without a legend; others are refused."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, squeeze=False)
    display = SegmentationDisplay.from_predictions(images[:1], masks[:1], axes=axes)
    assert display.figure_ is figure and figure.legends == []
    with pytest.raises(ValueError, match=r"axes: expected shape \(2, 2\)"):
        SegmentationDisplay.from_predictions(images[:2], masks[:2], axes=axes)


def test_label_map_of_another_shape_is_named(images, masks):
    """A prediction that does not fit its image is an error that says which."""
    with pytest.raises(ValueError, match=r"y_pred\[1\]: expected shape"):
        SegmentationDisplay(images[:2], [masks[0], masks[0]], masks[:2])


def test_more_classes_than_colors_is_an_error(images):
    """Two classes never share a color."""
    labels = np.arange(images[0].shape[0] * images[0].shape[1]) % 22
    with pytest.raises(ValueError, match="at most 21 classes.*got 22"):
        SegmentationDisplay(images[:1], [labels.reshape(images[0].shape[:2])])


def test_labels_that_the_estimator_does_not_know_are_refused(images, masks):
    """A label of unlabeled pixels does not count among the wrong pixels."""

    class Knowing:
        classes_ = np.array([0, 1, 2])

        def predict(self, images):
            pytest.fail("predicted before the masks were checked")

    marked = [np.where(mask == 2, 255, mask) for mask in masks]
    with pytest.raises(ValueError, match=r"masks\[0\]: labels \[255\].*mark_unlabeled"):
        SegmentationDisplay.from_estimator(Knowing(), images, marked)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[..., 0],
        lambda x: x[..., :2],
        lambda x: np.dstack([x, x[..., :1]]),
        lambda x: np.dstack([x, x[..., :2]]) / 255,
        lambda x: 257 * x.astype(np.uint16),
        lambda x: np.where(x == x[0, 0], np.nan, 1000.0 * x),
    ],
)
def test_images_of_any_channels_are_drawn(images, masks, change):
    """The first three channels, or the first, stretched if the range is unknown."""
    predicted = [np.where(mask == 0, -1, mask) for mask in masks]
    display = SegmentationDisplay.from_predictions(
        [change(image) for image in images], predicted, masks
    )
    shown = display.axes_[0, 0].images[0].get_array()
    assert shown.shape == (*images[0].shape[:2], 3)
    assert 0 <= shown.min() < shown.max() <= 1
    assert display.axes_[0, -1].get_xlabel().startswith("100")
