"""Images next to their true and predicted label maps."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..labels import check_known_labels
from ..masks import CLASS_COLORS, COLOR_OF_UNLABELED, UNLABELED, check_masks
from ._style import check_pictures, draw_frame, picture_of

PALETTE = CLASS_COLORS
"""Colors of up to 21 classes, in ascending order of their labels."""

UNLABELED_COLOR = COLOR_OF_UNLABELED
"""Color of unlabeled pixels."""


class SegmentationDisplay:
    """Images next to their true and predicted label maps.

    Use `from_estimator` or `from_predictions` to make one. Each row shows one image.
    The columns are the image, the true labels and the predicted labels. Labels that
    are None have no column.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width[, n_channels])
        Of more than three channels, the first three are drawn, and of two the first.
        Values outside of 0..255 of uint8 and 0..1 of floating point are stretched.
    y_pred : sequence of ndarray of integers of shape (height, width) or None
        Predicted labels.
    masks : sequence of ndarray of integers of shape (height, width) or None
        True labels. Unlabeled pixels (-1) are light gray.
    class_names : sequence of str, or dict of int to str, or None, default=None
        Names for the legend. A sequence names label k at position k. None shows the
        labels themselves.

    Attributes
    ----------
    classes : list of int
        The labels that have a name or occur. Their colors are those of `PALETTE` in
        this order, so that figures with the same names have the same colors.
    figure_ : matplotlib.figure.Figure
        Set by `plot`.
    axes_ : ndarray of matplotlib Axes of shape (n_images, n_columns)
        Set by `plot`.

    Raises
    ------
    ValueError
        If the shapes of images and labels differ, or there are more classes than
        colors.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
    >>> from sklearn_zoomout.plotting import SegmentationDisplay
    >>> images, masks = make_scenes(2, random_state=0)
    >>> display = SegmentationDisplay(images, None, masks, class_names=SCENE_CLASSES)
    >>> display.plot().axes_.shape
    (2, 2)
    """

    def __init__(
        self,
        images: Sequence[NDArray[Any]],
        y_pred: Sequence[NDArray[Any]] | None,
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
    ) -> None:
        self.images = check_pictures(images)
        self.y_pred, self.masks = (
            None if maps is None else check_masks(maps, self.images, name)
            for maps, name in ((y_pred, "y_pred"), (masks, "masks"))
        )
        if class_names is not None and not isinstance(class_names, Mapping):
            class_names = dict(enumerate(class_names))
        self.class_names = class_names
        self.classes = self._find_classes()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        images: Sequence[NDArray[Any]],
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        axes: "NDArray[Any] | None" = None,
    ) -> Self:
        """Predict the labels of images and draw them.

        Parameters
        ----------
        estimator : fitted estimator
            Its ``predict(images)`` returns one label map per image.
        images, masks, class_names
            See the class.
        axes : ndarray of matplotlib Axes, optional
            See `plot`.

        Returns
        -------
        display : SegmentationDisplay

        Raises
        ------
        ValueError
            If a mask has a label that is not among the classes of the estimator, such
            as a label of unlabeled pixels other than -1.
        """
        classes = getattr(estimator, "classes_", None)
        if masks is not None:
            check_known_labels(masks, classes)
        if class_names is None and classes is not None:
            class_names = {int(label): str(label) for label in classes}
        return cls.from_predictions(
            images,
            estimator.predict(images),
            masks,
            class_names=class_names,
            axes=axes,
        )

    @classmethod
    def from_predictions(
        cls,
        images: Sequence[NDArray[Any]],
        y_pred: Sequence[NDArray[Any]],
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        axes: "NDArray[Any] | None" = None,
    ) -> Self:
        """Draw predicted label maps.

        Parameters
        ----------
        images, y_pred, masks, class_names
            See the class.
        axes : ndarray of matplotlib Axes, optional
            See `plot`.

        Returns
        -------
        display : SegmentationDisplay
        """
        display = cls(images, y_pred, masks, class_names=class_names)
        return display.plot(axes)

    def plot(self, axes: "NDArray[Any] | None" = None) -> Self:
        """Draw one row per image, and a legend below.

        Parameters
        ----------
        axes : ndarray of matplotlib Axes of shape (n_images, n_columns), optional
            Where to draw. None makes a new figure. The legend is drawn only on a new
            figure. `legend_handles` returns its entries.

        Returns
        -------
        self : SegmentationDisplay
        """
        import matplotlib.pyplot as plt

        columns = self._columns()
        expected = (len(self.images), len(columns))
        if axes is None:
            width, height = self._cell_size()
            size = (width * expected[1], height * expected[0] + 0.6)
            self.figure_, axes = plt.subplots(
                *expected, figsize=size, squeeze=False, layout="constrained"
            )
            # Six names fit side by side, or fewer on a narrow figure.
            n_names = min(6, max(2, int(size[0] / 1.4)), len(self.legend_handles()))
            self.figure_.legend(
                handles=self.legend_handles(),
                loc="outside lower center",
                ncols=max(n_names, 1),
                frameon=False,
            )
        else:
            axes = np.asarray(axes)
            if axes.shape != expected:
                raise ValueError(
                    f"axes: expected shape {expected}, one row per image and one "
                    f"column for each of {list(columns)}, got {axes.shape}."
                )
            self.figure_ = axes[0, 0].figure
        self.axes_ = axes
        for j, (title, pictures) in enumerate(columns.items()):
            axes[0, j].set_title(title)
            for ax, picture in zip(axes[:, j], pictures, strict=True):
                ax.imshow(picture, interpolation="nearest")
                draw_frame(ax, "0.4", 0.5)
        self._write_accuracies(axes[:, -1])
        return self

    def legend_handles(self) -> list[Any]:
        """Return the entries of the legend.

        They are the classes that occur, and "unlabeled" if there are unlabeled pixels.
        """
        from matplotlib.patches import Patch

        present = self._present()
        names = self.class_names or {}
        handles = [
            Patch(facecolor=color, edgecolor="0.4", linewidth=0.5, label=label)
            for color, label in (
                (PALETTE[i], names.get(k, str(k)))
                for i, k in enumerate(self.classes)
                if k in present
            )
        ]
        if UNLABELED in present:
            handles.append(
                Patch(
                    facecolor=UNLABELED_COLOR,
                    edgecolor="0.4",
                    lw=0.5,
                    label="unlabeled",
                )
            )
        return handles

    def _find_classes(self) -> list[int]:
        classes = set(self.class_names or ()) | self._present()
        classes.discard(UNLABELED)
        if len(classes) > len(PALETTE):
            raise ValueError(
                f"expected at most {len(PALETTE)} classes, the number of colors that "
                f"can be distinguished, got {len(classes)}; draw some of them at a "
                "time, with the rest set to -1."
            )
        return sorted(classes)

    def _present(self) -> set[int]:
        """Return the labels that occur, including that of unlabeled pixels."""
        maps = [*(self.masks or []), *(self.y_pred or [])]
        return {int(label) for labels in maps for label in np.unique(labels)}

    def _columns(self) -> dict[str, list[NDArray[Any]]]:
        columns: dict[str, list[NDArray[Any]]] = {}
        columns["image"] = [picture_of(image) for image in self.images]
        if self.masks is not None:
            columns["truth"] = [self._colors(mask) for mask in self.masks]
        if self.y_pred is not None:
            columns["prediction"] = [self._colors(labels) for labels in self.y_pred]
        return columns

    def _colors(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        """Return the colors of a label map as an RGB image, floats in 0..1."""
        from matplotlib.colors import to_rgb

        colors = dict(zip(self.classes, PALETTE, strict=False))
        colors[UNLABELED] = UNLABELED_COLOR
        known = sorted(colors)
        rgb = np.array([to_rgb(colors[label]) for label in known])
        return rgb[np.searchsorted(known, labels)]

    def _cell_size(self) -> tuple[float, float]:
        """Return the width and height of a cell in inches, for the median shape."""
        height, width = np.median([i.shape[:2] for i in self.images], axis=0)
        scale = np.sqrt(6 / (height * width))  # 6 square inches
        return scale * width, scale * height + 0.3

    def _write_accuracies(self, axes: "NDArray[Any]") -> None:
        """Write the share of correct pixels below each prediction."""
        if self.masks is None or self.y_pred is None:
            return
        for ax, mask, labels in zip(axes, self.masks, self.y_pred, strict=True):
            known = (mask != UNLABELED) & (labels != UNLABELED)
            if known.any():
                share = np.mean(mask[known] == labels[known])
                ax.set_xlabel(f"{share:.1%} of the pixels right", fontsize="small")
