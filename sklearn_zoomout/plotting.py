"""Pictures of label maps, and of the regions that the zoom-out levels see."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .images import as_float, check_images, check_masks
from .regions import SegmentedImage
from .superpixels import SuperpixelSegmenter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colors of Okabe and Ito (their black is a dark red here), then the colors that
# lie farthest in L*a*b* from all before them in normal vision, protanopia,
# deuteranopia and tritanopia.
PALETTE = (
    "#56B4E9 #009E73 #E69F00 #F0E442 #0072B2 #D55E00 #CC79A7 "
    "#661100 #790DE5 #553143 #AFF79D #0D318B #E50D43 #AF55F7 "
    "#675579 #D3AF55 #C1D3AF #1FE5F7 #436731 #8B0DC1 #79C179"
).split()
"""Colors of up to 21 classes, in ascending order of their labels."""

VOID_COLOR = "#EBEBEB"
"""Color of pixels without a label."""

# The colors of the paper's figures 1 to 3.
_LEVEL_COLORS = {
    "local": "#E6001F",
    "proximal": "#00C8D7",
    "distant": "#FF8C00",
    "global": "#1FA81F",
}


class SegmentationDisplay:
    """Images beside their true and predicted label maps.

    Make one with `from_estimator` or `from_predictions`. A row shows one image; the
    columns are the image, the truth and the prediction, as far as given.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width, 3)
        uint8, or floating point in 0..1.
    y_pred : sequence of ndarray of integers of shape (height, width) or None
        Predicted labels.
    masks : sequence of ndarray of integers of shape (height, width) or None
        True labels.
    class_names : sequence of str, or dict of int to str, or None, default=None
        Names for the legend: a sequence names label k at position k. None shows
        the labels themselves.
    void_label : int or None, default=-1
        The label of pixels without a class, drawn light gray.

    Attributes
    ----------
    classes : list of int
        The labels that are named or occur; they take their colors from `PALETTE`
        in this order, so that pictures with the same names have the same colors.
    figure_ : matplotlib.figure.Figure
        Set by `plot`.
    axes_ : ndarray of matplotlib Axes of shape (n_images, n_columns)
        Set by `plot`.

    Raises
    ------
    ValueError
        If shapes do not correspond, or there are more classes than colors.

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
        void_label: int | None = -1,
    ) -> None:
        self.images = check_images(images)
        self.y_pred = None if y_pred is None else check_masks(y_pred, self.images)
        self.masks = None if masks is None else check_masks(masks, self.images)
        if class_names is not None and not isinstance(class_names, Mapping):
            class_names = dict(enumerate(class_names))
        self.class_names = class_names
        self.void_label = void_label
        self.classes = self._find_classes()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        images: Sequence[NDArray[Any]],
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        void_label: int | None = -1,
        axes: "NDArray[Any] | None" = None,
    ) -> Self:
        """Predict the labels of images and draw them.

        Parameters
        ----------
        estimator : fitted estimator
            Its ``predict(images)`` gives a label map for each image.
        images, masks, class_names, void_label
            See the class.
        axes : ndarray of matplotlib Axes, optional
            See `plot`.

        Returns
        -------
        display : SegmentationDisplay
        """
        return cls.from_predictions(
            images,
            estimator.predict(images),
            masks,
            class_names=class_names,
            void_label=void_label,
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
        void_label: int | None = -1,
        axes: "NDArray[Any] | None" = None,
    ) -> Self:
        """Draw label maps that were predicted before.

        Parameters
        ----------
        images, y_pred, masks, class_names, void_label
            See the class.
        axes : ndarray of matplotlib Axes, optional
            See `plot`.

        Returns
        -------
        display : SegmentationDisplay
        """
        display = cls(
            images, y_pred, masks, class_names=class_names, void_label=void_label
        )
        return display.plot(axes)

    def plot(self, axes: "NDArray[Any] | None" = None) -> Self:
        """Draw a row for each image, and a legend below.

        Parameters
        ----------
        axes : ndarray of matplotlib Axes of shape (n_images, n_columns), optional
            Where to draw; a new figure by default. No legend is drawn on given
            axes: `legend_handles` has its entries.

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
                    f"axes: expected shape {expected}, a row for each image and a "
                    f"column for each of {list(columns)}, got {axes.shape}."
                )
            self.figure_ = axes[0, 0].figure
        self.axes_ = axes
        for j, (title, pictures) in enumerate(columns.items()):
            axes[0, j].set_title(title)
            for ax, picture in zip(axes[:, j], pictures, strict=True):
                ax.imshow(picture, interpolation="nearest")
                _frame(ax, "0.4", 0.5)
        self._write_accuracies(axes[:, -1])
        return self

    def legend_handles(self) -> list[Any]:
        """Return the entries of the legend: the classes that occur, then void."""
        from matplotlib.patches import Patch

        maps = [*(self.masks or []), *(self.y_pred or [])]
        present = set(_labels_of(maps))
        names = self.class_names or {}
        handles = [
            Patch(facecolor=color, edgecolor="0.4", linewidth=0.5, label=label)
            for color, label in (
                (PALETTE[i], names.get(k, str(k)))
                for i, k in enumerate(self.classes)
                if k in present
            )
        ]
        if self.void_label in present:
            handles.append(
                Patch(facecolor=VOID_COLOR, edgecolor="0.4", lw=0.5, label="unlabeled")
            )
        return handles

    def _find_classes(self) -> list[int]:
        maps = [*(self.masks or []), *(self.y_pred or [])]
        classes = set(self.class_names or ()) | set(_labels_of(maps))
        classes.discard(self.void_label)
        if len(classes) > len(PALETTE):
            raise ValueError(
                f"expected at most {len(PALETTE)} classes, as many as there are colors "
                f"that can be told apart, got {len(classes)}; draw some of them at a "
                "time, with the rest set to void_label."
            )
        return sorted(classes)

    def _columns(self) -> dict[str, list[NDArray[Any]]]:
        columns = {"image": [as_float(image) for image in self.images]}
        if self.masks is not None:
            columns["truth"] = [self._colors(mask) for mask in self.masks]
        if self.y_pred is not None:
            columns["prediction"] = [self._colors(labels) for labels in self.y_pred]
        return columns

    def _colors(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        """Return the picture of a label map, float RGB in 0..1."""
        from matplotlib.colors import to_rgb

        rgb = np.array([to_rgb(c) for c in [*PALETTE, VOID_COLOR]])
        classes = np.array([*self.classes, self.void_label], dtype=object)
        known = classes[classes != None].astype(np.int64)  # noqa: E711
        order = np.argsort(known)
        position = order[np.searchsorted(known, labels, sorter=order)]
        position[position == len(self.classes)] = len(PALETTE)
        return rgb[position]

    def _cell_size(self) -> tuple[float, float]:
        """Return the size of a cell in inches, for images of the usual shape."""
        height, width = np.median([i.shape[:2] for i in self.images], axis=0)
        scale = np.sqrt(6 / (height * width))  # 6 square inches
        return scale * width, scale * height + 0.3

    def _write_accuracies(self, axes: "NDArray[Any]") -> None:
        """Write below each prediction which share of its pixels is right."""
        if self.masks is None or self.y_pred is None:
            return
        for ax, mask, labels in zip(axes, self.masks, self.y_pred, strict=True):
            known = mask != self.void_label
            if known.any():
                share = np.mean(mask[known] == labels[known])
                ax.set_xlabel(f"{share:.1%} of the pixels right", fontsize="small")


class ZoomoutDisplay:
    """What each zoom-out level sees of some superpixels (figures 2 and 3 of [1]_).

    The image, with the outlines of the levels, stands beside one row of crops for
    each superpixel: the superpixel (red), its proximal region (cyan), its distant
    box (orange; the curved orange line is the neighborhood that the box encloses)
    and the whole image (green).

    Parameters
    ----------
    segmented : SegmentedImage
        The image and its superpixels.
    superpixels : array-like of int of shape (n,), default=None
        Which superpixels to explain. None takes three, spread over the image.
        ``segmented.segments[row, column]`` is the superpixel of a pixel.
    proximal_radius, distant_radius : int, default=2 and 3
        Extent of the regions, in steps on the superpixel graph.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Set by `plot`.
    axes_ : dict of str to Axes or list of Axes
        "image", and for each level the list of its crops; set by `plot`.

    References
    ----------
    .. [1] M. Mostajabi, P. Yadollahpour, G. Shakhnarovich. "Feedforward semantic
       segmentation with zoom-out features". arXiv 1412.0774, 2014.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> from sklearn_zoomout.plotting import ZoomoutDisplay
    >>> images, masks = make_scenes(1, random_state=0)
    >>> display = ZoomoutDisplay.from_image(images[0], superpixels=[100, 200])
    >>> sorted(display.axes_)
    ['distant', 'global', 'image', 'local', 'proximal']
    """

    def __init__(
        self,
        segmented: SegmentedImage,
        superpixels: Sequence[int] | NDArray[Any] | None = None,
        *,
        proximal_radius: int = 2,
        distant_radius: int = 3,
    ) -> None:
        self.segmented = segmented
        self.superpixels = _check_ids(superpixels, segmented)
        self.proximal_radius = proximal_radius
        self.distant_radius = distant_radius

    @classmethod
    def from_image(
        cls,
        image: NDArray[Any],
        superpixels: Sequence[int] | NDArray[Any] | None = None,
        *,
        segmenter: SuperpixelSegmenter | None = None,
        proximal_radius: int = 2,
        distant_radius: int = 3,
    ) -> Self:
        """Cut an image into superpixels and draw what the levels see.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3)
            uint8, or floating point in 0..1.
        superpixels, proximal_radius, distant_radius
            See the class.
        segmenter : SuperpixelSegmenter, optional
            What cuts the image; by default one with its default parameters.

        Returns
        -------
        display : ZoomoutDisplay
        """
        segmenter = SuperpixelSegmenter() if segmenter is None else segmenter
        display = cls(
            segmenter.fit([image]).transform([image])[0],
            superpixels,
            proximal_radius=proximal_radius,
            distant_radius=distant_radius,
        )
        return display.plot()

    def plot(self) -> Self:
        """Draw the figure.

        Returns
        -------
        self : ZoomoutDisplay
        """
        import matplotlib.pyplot as plt

        n_rows = len(self.superpixels)
        height, width = self.segmented.shape
        crop = 1.5 if n_rows > 1 else 2.6  # inches
        tall = max(crop * n_rows, 3.0)
        wide = min(tall * width / height, 8.0)
        self.figure_ = plt.figure(
            figsize=(wide + 4 * crop + 0.5, tall + 0.7), layout="constrained"
        )
        grid = self.figure_.add_gridspec(
            n_rows, 5, width_ratios=[wide, crop, crop, crop, crop]
        )
        main = self.figure_.add_subplot(grid[:, 0])
        self.axes_: dict[str, Any] = {"image": main}
        for j, level in enumerate(_LEVEL_COLORS):
            self.axes_[level] = [
                self.figure_.add_subplot(grid[i, j + 1]) for i in range(n_rows)
            ]
        self._plot_outlines(main)
        for i, number in enumerate(self.superpixels):
            for level, (picture, caption) in self._crops(number).items():
                ax = self.axes_[level][i]
                ax.imshow(picture, interpolation="nearest")
                _frame(ax, _LEVEL_COLORS[level], 2)
                ax.set_xlabel(caption, fontsize="x-small")
                if i == 0:
                    ax.set_title(level, color=_LEVEL_COLORS[level], weight="bold")
            self.axes_["local"][i].set_ylabel(chr(ord("A") + i), rotation=0, labelpad=9)
        return self

    def _plot_outlines(self, ax: "Axes") -> None:
        """Draw the image, the superpixels' borders and the regions' outlines."""
        from matplotlib.patches import Rectangle

        segmented = self.segmented
        height, width = segmented.shape
        ax.imshow(_mark_borders(segmented), interpolation="nearest")
        _frame(ax, _LEVEL_COLORS["global"], 3)
        for i, number in enumerate(self.superpixels):
            near = self._region(number, self.distant_radius)
            _outline(ax, near, _LEVEL_COLORS["distant"], 1.2)
            top, left, bottom, right = self._box(number)
            box = Rectangle(
                (left - 0.5, top - 0.5),
                right - left,
                bottom - top,
                fill=False,
                edgecolor=_LEVEL_COLORS["distant"],
                linewidth=2,
            )
            ax.add_patch(box)
            region = self._region(number, self.proximal_radius)
            _outline(ax, region, _LEVEL_COLORS["proximal"], 2)
            _outline(ax, self._region(number, 0), _LEVEL_COLORS["local"], 2)
            ax.annotate(
                chr(ord("A") + i),
                (left, top),
                xytext=(4, -4),
                textcoords="offset points",
                va="top",
                weight="bold",
                color="white",
                bbox={"boxstyle": "round,pad=0.15", "fc": "black", "lw": 0},
            )
        ax.set_title(f"{height} x {width} pixels, {segmented.n_segments} superpixels")

    def _crops(self, number: int) -> dict[str, tuple[NDArray[Any], str]]:
        """Return the picture that each level sees, and a caption."""
        rgb = self.segmented.rgb
        top, left, bottom, right = self._box(number)
        local = self._region(number, 0)
        proximal = self._region(number, self.proximal_radius)
        height, width = self.segmented.shape
        return {
            "local": (_cut_out(rgb, local), f"{local.sum()} pixels"),
            "proximal": (_cut_out(rgb, proximal), f"{proximal.sum()} pixels"),
            "distant": (
                rgb[top:bottom, left:right],
                f"box of {bottom - top} x {right - left}",
            ),
            "global": (rgb, f"all {height} x {width}"),
        }

    def _region(self, number: int, radius: int) -> NDArray[np.bool_]:
        """Return the pixels within `radius` of a superpixel as a map of booleans."""
        near = self.segmented.neighborhood(radius)[[number]].toarray()[0] > 0
        return near[self.segmented.segments]

    def _box(self, number: int) -> tuple[int, int, int, int]:
        top, left, bottom, right = self.segmented.region_boxes(self.distant_radius)[
            number
        ].tolist()
        return top, left, bottom, right


def _labels_of(maps: Sequence[NDArray[Any]]) -> list[int]:
    """Return the labels that occur in label maps."""
    return sorted({int(label) for labels in maps for label in np.unique(labels)})


def _check_ids(
    superpixels: Sequence[int] | NDArray[Any] | None, segmented: SegmentedImage
) -> list[int]:
    """Return the chosen superpixels, by default three on a diagonal."""
    if superpixels is None:
        shares = np.array([[0.25, 0.3], [0.5, 0.7], [0.75, 0.35]])
        rows, columns = (shares * segmented.shape).astype(int).T
        return segmented.segments[rows, columns].tolist()
    numbers = np.asarray(superpixels)
    last = segmented.n_segments - 1
    right_kind = numbers.ndim == 1 and numbers.size and numbers.dtype.kind in "iu"
    if not right_kind or numbers.min() < 0 or numbers.max() > last:
        raise ValueError(
            f"superpixels: expected a list of integers in 0..{last}, got "
            f"{superpixels!r}; segmented.segments[row, column] is the superpixel of "
            "a pixel."
        )
    return numbers.tolist()


def _mark_borders(segmented: SegmentedImage) -> NDArray[np.float32]:
    """Darken the pixels whose right or lower neighbor is in another superpixel."""
    segments, rgb = segmented.segments, segmented.rgb
    border = np.zeros(segments.shape, dtype=bool)
    border[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    border[:-1] |= segments[:-1] != segments[1:]
    rgb[border] *= 0.6
    return rgb


def _cut_out(rgb: NDArray[Any], region: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the box around a region, white outside the region."""
    rows, columns = region.any(axis=1).nonzero()[0], region.any(axis=0).nonzero()[0]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.where(region[box][..., None], rgb[box], 1.0)


def _outline(ax: "Axes", region: NDArray[np.bool_], color: str, width: float) -> None:
    """Draw a line around a region, also where it touches the image's edge."""
    padded = np.pad(region, 1).astype(float)
    height, size = padded.shape
    ax.contour(
        np.arange(size) - 1,
        np.arange(height) - 1,
        padded,
        levels=[0.5],
        colors=color,
        linewidths=width,
    )


def _frame(ax: "Axes", color: str, width: float) -> None:
    """Leave out the ticks and color the frame of a picture."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(edgecolor=color, linewidth=width)
