"""A picture of how much each zoom-out level contributes to the labels of an image."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..plotting import SegmentationDisplay
from ..plotting._style import LEVEL_COLORS, draw_frame
from ._zoom_importance import ZoomImportance, zoom_importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

# For levels that the paper does not have.
_OTHER_COLORS = ("#7A3FC4", "#8A5A2B", "#E377C2", "#5A6B7B", "#B8B000")
# The smallest end of the scale. It keeps rounding errors from looking important.
_LEAST_SCALE = 0.01


class ZoomImportanceDisplay:
    """A picture of how much each zoom-out level contributes to the labels of an image.

    The upper row shows the image, its predicted labels, and the most important level of
    each superpixel: the level without which the probability of the label is lowest. The
    color is paler where that level contributes less. The lower row shows one map per
    level, all on the same scale: blue where the level raises the probability of the
    label, red where it lowers it. Lines separate the predicted labels. Where two labels
    are almost equally probable, a small contribution decides, so that many pixels can
    change their label on a pale map.

    Parameters
    ----------
    importance : ZoomImportance
        The result of `sklearn_zoomout.inspection.zoom_importance`.
    class_names : sequence of str, or dict of int to str, or None, default=None
        Names for the legend. A sequence names label k at position k. None shows the
        labels themselves.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Set by `plot`.
    axes_ : dict of str to matplotlib Axes
        Set by `plot`. The keys are "image", "prediction", "most important" and the
        names of the levels. A color bar for all levels can be made from ``images[0]``
        of the axes of one level.

    Examples
    --------
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
    >>> from sklearn_zoomout.inspection import ZoomImportanceDisplay
    >>> images, masks = make_scenes(n_images=5, random_state=0)
    >>> model = zoomout_pipeline(
    ...     levels=["distant", "global"], n_segments=50, max_epochs=5, random_state=0
    ... ).fit(images[:4], masks[:4])
    >>> display = ZoomImportanceDisplay.from_estimator(
    ...     model, images[4], class_names=SCENE_CLASSES
    ... )
    >>> list(display.axes_)
    ['image', 'prediction', 'most important', 'distant', 'global']
    """

    def __init__(
        self,
        importance: ZoomImportance,
        *,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
    ) -> None:
        if not isinstance(importance, ZoomImportance):
            raise TypeError(
                "importance: expected the result of zoom_importance, got "
                f"{type(importance).__name__}; use from_estimator(model, image) to "
                "measure and draw in one call."
            )
        self.importance = importance
        self.class_names = class_names

    @classmethod
    def from_estimator(
        cls,
        model: "Pipeline",
        image: ArrayLike,
        *,
        reference: Sequence[ArrayLike] | None = None,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        axes: ArrayLike | None = None,
    ) -> Self:
        """Measure the importance of the levels and draw it.

        Parameters
        ----------
        model, image, reference
            See `sklearn_zoomout.inspection.zoom_importance`.
        class_names
            See the class.
        axes
            See `plot`.

        Returns
        -------
        display : ZoomImportanceDisplay
        """
        importance = zoom_importance(model, image, reference=reference)
        return cls(importance, class_names=class_names).plot(axes)

    def plot(self, axes: ArrayLike | None = None) -> Self:
        """Draw the maps.

        Parameters
        ----------
        axes : array-like of matplotlib Axes of shape (3 + n_levels,), optional
            Where to draw, in the order of ``axes_``. None makes a new figure. Legends
            and a color bar are drawn only on a new figure.

        Returns
        -------
        self : ZoomImportanceDisplay
        """
        titles = ["image", "prediction", "most important", *self.importance.levels]
        new = axes is None
        given = self._make_axes() if axes is None else np.asarray(axes)
        if given.shape != (len(titles),):
            raise ValueError(
                f"axes: expected shape {(len(titles),)}, one for each of {titles}, got "
                f"{given.shape}."
            )
        self.figure_ = given[0].figure
        self.axes_: dict[str, Axes] = dict(zip(titles, given, strict=True))
        handles = self._plot_labels(given[:2])
        self._plot_most_important(given[2])
        self._plot_levels(given[3:])
        if new:
            self._add_keys(handles)
        return self

    def _make_axes(self) -> NDArray[Any]:
        """Make a row of three large panels and a row of the levels."""
        import matplotlib.pyplot as plt

        height, width = self.importance.segmented.shape
        n_levels = len(self.importance.levels)
        n_columns = max(n_levels, 3)
        wide = 11 / 3  # inches of a large panel
        tall, small = wide * height / width, 11 / n_columns * height / width
        figure = plt.figure(figsize=(11.8, tall + small + 1.5), layout="constrained")
        grid = figure.add_gridspec(
            2, 3 * n_columns, height_ratios=[tall + 0.7, small + 0.5]
        )
        above = [
            figure.add_subplot(grid[0, i * n_columns : (i + 1) * n_columns])
            for i in range(3)
        ]
        below = [
            figure.add_subplot(grid[1, 3 * i : 3 * i + 3]) for i in range(n_levels)
        ]
        return np.array(above + below, dtype=object)

    def _plot_labels(self, axes: NDArray[Any]) -> list[Any]:
        """Draw the image and its labels; return the entries of their legend."""
        importance = self.importance
        segmented = importance.segmented
        names = self.class_names
        if names is None:
            names = {int(label): str(label) for label in importance.classes}
        display = SegmentationDisplay.from_predictions(
            [segmented.image],
            [segmented.mark_nodata(importance.decision[segmented.segments])],
            class_names=names,
            axes=axes[None],
        )
        return display.legend_handles()

    def _plot_most_important(self, ax: "Axes") -> None:
        """Color each superpixel by its most important level."""
        from matplotlib.colors import to_rgb

        segmented, values = self.importance.segmented, self.importance.values
        best = values.argmax(axis=1)
        strength = np.clip(values.max(axis=1) / self._scale(), 0, 1)[:, None]
        colors = np.array([to_rgb(color) for color in self._level_colors()])[best]
        picture = 1 - strength * (1 - colors)
        ax.imshow(picture[segmented.segments], interpolation="nearest")
        self._plot_borders(ax)
        ax.set_title("most important level")
        draw_frame(ax, "0.4", 0.5)

    def _plot_levels(self, axes: NDArray[Any]) -> None:
        """Draw the map of each level."""
        importance, scale = self.importance, self._scale()
        segmented = importance.segmented
        for i, (ax, level, color) in enumerate(
            zip(axes, importance.levels, self._level_colors(), strict=True)
        ):
            ax.imshow(
                importance.values[:, i][segmented.segments],
                cmap="RdBu",
                vmin=-scale,
                vmax=scale,
                interpolation="nearest",
            )
            self._plot_borders(ax)
            ax.set_title(level, color=color, weight="bold")
            draw_frame(ax, color, 2)
            other = importance.decision_without[:, i] != importance.decision
            share = segmented.areas[other].sum() / segmented.areas.sum()
            ax.set_xlabel(
                f"{share:.0%} of pixels change label\nwithout it", fontsize="small"
            )

    def _plot_borders(self, ax: "Axes") -> None:
        """Draw lines between the predicted labels."""
        codes = np.searchsorted(self.importance.classes, self.importance.decision)
        labels = codes[self.importance.segmented.segments]
        for code in np.unique(labels)[1:]:
            ax.contour(labels >= code, levels=[0.5], colors="0.25", linewidths=0.6)

    def _add_keys(self, handles: list[Any]) -> None:
        """Add the legends of classes and levels, and the color bar."""
        from matplotlib.patches import Patch

        levels = [
            Patch(facecolor=color, label=level)
            for level, color in zip(
                self.importance.levels, self._level_colors(), strict=True
            )
        ]
        for name, entries in (("prediction", handles), ("most important", levels)):
            self.axes_[name].legend(
                handles=entries,
                loc="upper center",
                bbox_to_anchor=(0.5, 0),
                ncols=min(len(entries), 5),
                frameon=False,
                fontsize="small",
                handlelength=1.2,
                columnspacing=1.2,
            )
        below = [self.axes_[level] for level in self.importance.levels]
        self.figure_.colorbar(
            below[0].images[0],
            ax=below,
            label="how much of the label's\nprobability the level adds",
            format=lambda value, _: f"{value:+.3g}" if value else "0",
            pad=0.01,
            shrink=0.9,
        )

    def _level_colors(self) -> list[str]:
        others = iter(_OTHER_COLORS * len(self.importance.levels))
        return [
            LEVEL_COLORS.get(level) or next(others) for level in self.importance.levels
        ]

    def _scale(self) -> float:
        """Return the end of the scale that all maps share."""
        return max(float(np.abs(self.importance.values).max()), _LEAST_SCALE)
