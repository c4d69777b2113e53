"""Pictures of the importance of the levels: which map shows what."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.inspection import ZoomImportance, ZoomImportanceDisplay
from sklearn_zoomout.plotting import PALETTE

matplotlib.use("Agg")

LEVELS = ["local", "proximal", "distant", "global", "maps"]


@pytest.fixture(autouse=True)
def close_figures():
    """Close all figures after each test."""
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture
def importance(superpixels):
    """Made-up importances of two levels, of classes 3 and 8."""
    segmented = superpixels[0]
    n = segmented.n_segments
    values = np.random.default_rng(0).uniform(-0.2, 0.4, (n, 2)).astype(np.float32)
    decision = np.where(np.arange(n) < n // 2, 3, 8)
    without = np.stack([decision, decision], axis=1)
    without[: n // 3, 1] = 8
    return ZoomImportance(
        segmented=segmented,
        levels=["distant", "own"],
        classes=np.array([3, 5, 8]),
        decision=decision,
        probability=np.full(n, 0.9, dtype=np.float32),
        values=values,
        decision_without=without,
    )


def picture(ax):
    """Return the array that an axes shows."""
    return np.asarray(ax.get_images()[0].get_array())


def test_maps_show_the_values_on_one_scale(importance):
    """Each superpixel has its value, and zero lies in the middle of every scale."""
    display = ZoomImportanceDisplay(importance).plot()
    segments, end = importance.segmented.segments, np.abs(importance.values).max()
    for i, level in enumerate(importance.levels):
        ax = display.axes_[level]
        np.testing.assert_array_equal(picture(ax), importance.values[:, i][segments])
        np.testing.assert_allclose(ax.images[0].get_clim(), (-end, end))
        assert ax.get_title() == level


def test_prediction_has_the_colors_of_all_classes(importance):
    """A class that is not predicted keeps its color for other pictures."""
    display = ZoomImportanceDisplay(importance).plot()
    colors = {3: to_rgb(PALETTE[0]), 8: to_rgb(PALETTE[2])}
    expected = np.array([colors[label] for label in importance.decision])
    np.testing.assert_allclose(
        picture(display.axes_["prediction"]), expected[importance.segmented.segments]
    )
    legend = display.axes_["prediction"].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["3", "8"]


def test_most_important_level_is_the_paler_the_less_it_adds(importance):
    """The level of the largest value gives the color, its value the strength."""
    values = importance.values
    values[0], values[1] = (0.1, 0.05), (-0.1, 0.4)  # 0.4 is the end of the scale
    values[2] = (-0.2, -0.1)
    values[3:] = np.minimum(values[3:], 0.39)
    display = ZoomImportanceDisplay(importance).plot()
    shown = picture(display.axes_["most important"])
    levels = display.axes_["most important"].get_legend().get_patches()
    distant, own = (np.array(to_rgb(patch.get_facecolor())) for patch in levels)
    first = [shown[importance.segmented.segments == k][0] for k in range(3)]
    np.testing.assert_allclose(first[0], 0.75 + 0.25 * distant, atol=1e-6)
    np.testing.assert_allclose(first[1], own, atol=1e-6)
    np.testing.assert_allclose(first[2], 1)


def test_share_of_changed_labels_stands_below(importance):
    """By pixels, for each level."""
    display = ZoomImportanceDisplay(importance).plot()
    changed = importance.decision_without[:, 1] != importance.decision
    share = np.mean(changed[importance.segmented.segments])
    below = "of pixels change label\nwithout it"
    assert display.axes_["distant"].get_xlabel() == f"0% {below}"
    assert display.axes_["own"].get_xlabel() == f"{share:.0%} {below}"
    assert 0 < share < 1


def test_given_axes_are_drawn_on(importance):
    """In the order of axes_, without legends or a color bar."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 5)
    display = ZoomImportanceDisplay(importance, class_names={3: "sky", 8: "sea"}).plot(
        axes
    )
    assert list(display.axes_.values()) == list(axes)
    assert display.figure_ is figure
    assert len(figure.axes) == 5
    assert all(ax.get_legend() is None for ax in axes)
    with pytest.raises(ValueError, match=r"axes: expected shape \(5,\).*got \(4,\)"):
        ZoomImportanceDisplay(importance).plot(axes[:4])


def test_from_estimator_measures_and_draws(images, masks):
    """The importances are those of the model, the names those of the legend."""
    model = zoomout_pipeline(
        levels=["local"], n_segments=30, max_epochs=2, random_state=0
    ).set_params(zoomout__local__descriptors=("color",))
    model.fit(images[:3], masks[:3])
    display = ZoomImportanceDisplay.from_estimator(
        model, images[3], class_names=["sky", "grass", "wall"]
    )
    assert list(display.axes_) == ["image", "prediction", "most important", "local"]
    assert display.importance.values.shape[1] == 1
    np.testing.assert_allclose(picture(display.axes_["image"]), images[3] / 255)
    legend = display.axes_["prediction"].get_legend().get_texts()
    assert {text.get_text() for text in legend} <= {"sky", "grass", "wall"}


@pytest.mark.parametrize("n_levels", [1, 4, 5])
def test_nothing_is_cut_off_or_covered(importance, n_levels):
    """Panels and their texts lie inside the figure and apart, for any number."""
    values = np.repeat(importance.values[:, :1], n_levels, axis=1)
    many = replace(
        importance,
        levels=LEVELS[:n_levels],
        values=values,
        decision_without=np.repeat(importance.decision_without[:, :1], n_levels, 1),
    )
    display = ZoomImportanceDisplay(many).plot()
    display.figure_.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in display.axes_.values()]
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= display.figure_.bbox.x1 and box.y1 <= display.figure_.bbox.y1
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_levels_have_distinct_colors(importance):
    """Those of the paper for its levels, others for a user's own."""
    levels = [*LEVELS[:4], "maps", "above", "below"]
    values = np.repeat(importance.values[:, :1], 7, axis=1)
    without = np.repeat(importance.decision_without[:, :1], 7, axis=1)
    seven = replace(importance, levels=levels, values=values, decision_without=without)
    display = ZoomImportanceDisplay(seven).plot()
    colors = {display.axes_[level].title.get_color() for level in levels}
    assert len(colors) == 7


def test_levels_that_say_nothing_leave_the_maps_white(importance):
    """The scale does not shrink to rounding errors."""
    quiet = replace(importance, values=importance.values * 1e-6)
    display = ZoomImportanceDisplay(quiet).plot()
    assert display.axes_["own"].images[0].get_clim() == (-0.01, 0.01)
    assert picture(display.axes_["most important"]).min() > 0.99


def test_other_things_are_refused(images):
    """A table or an array is no importance."""
    with pytest.raises(TypeError, match=r"result of zoom_importance, got ndarray; use"):
        ZoomImportanceDisplay(images[0])
