"""What each zoom-out level sees of a superpixel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..superpixels import SegmentedImage, SuperpixelSegmenter
from ._style import LEVEL_COLORS, draw_frame, picture_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ZoomoutDisplay:
    """What each zoom-out level sees of some superpixels (figures 2 and 3 of [1]_).

    On the left is the image with the outlines of the levels. On the right is one row of
    crops per superpixel. The crops are the superpixel (red), its proximal region
    (cyan), its distant box (orange) and the whole image (green). The curved orange line
    is the neighborhood that the distant box encloses.

    Parameters
    ----------
    segmented : SegmentedImage
        The image and its superpixels.
    superpixels : array-like of int of shape (n,), default=None
        Numbers of the superpixels to show. None takes three, spread over the image.
        ``segmented.segments[row, column]`` is the superpixel of a pixel.
    proximal_radius, distant_radius : int, default=2 and 3
        Radius of the regions, in steps on the superpixel graph.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Set by `plot`.
    axes_ : dict of str to Axes or list of Axes
        Set by `plot`. "image" has one Axes. Each level has a list of Axes, one per
        superpixel.

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
        if not isinstance(segmented, SegmentedImage):
            raise TypeError(
                "segmented: expected a SegmentedImage, such as superpixels[0], got "
                f"{type(segmented).__name__}."
            )
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
            Cuts the image into superpixels. None takes one with default parameters.

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
        for j, level in enumerate(LEVEL_COLORS):
            self.axes_[level] = [
                self.figure_.add_subplot(grid[i, j + 1]) for i in range(n_rows)
            ]
            title = {"color": LEVEL_COLORS[level], "weight": "bold"}
            self.axes_[level][0].set_title(level, **title)
        self.plot_outlines(main)
        for i, number in enumerate(self.superpixels):
            axes = {level: self.axes_[level][i] for level in LEVEL_COLORS}
            self.plot_crops(axes, number)
            axes["local"].set_ylabel(chr(ord("A") + i), rotation=0, labelpad=9)
        return self

    def plot_crops(self, axes: "Mapping[str, Axes]", superpixel: int) -> None:
        """Draw what the levels see of one superpixel, on given axes.

        Parameters
        ----------
        axes : mapping of str to matplotlib Axes
            Where to draw. The keys are levels: "local", "proximal", "distant" or
            "global".
        superpixel : int
            The number of the superpixel.
        """
        crops = self._crops(superpixel)
        for level, ax in axes.items():
            picture, caption = crops[level]
            ax.imshow(picture, interpolation="nearest")
            draw_frame(ax, LEVEL_COLORS[level], 2)
            ax.set_anchor("N")  # so that the titles of a row are level
            ax.set_xlabel(caption, fontsize="x-small")

    def plot_outlines(self, ax: "Axes") -> None:
        """Draw the image with the outlines of superpixels and levels, on given axes.

        Parameters
        ----------
        ax : matplotlib Axes
            Where to draw.
        """
        from matplotlib.patches import Rectangle

        segmented = self.segmented
        height, width = segmented.shape
        ax.imshow(_mark_borders(segmented), interpolation="nearest")
        draw_frame(ax, LEVEL_COLORS["global"], 3)
        for i, number in enumerate(self.superpixels):
            near = self._region(number, self.distant_radius)
            _outline(ax, near, LEVEL_COLORS["distant"], 1.2)
            top, left, bottom, right = self._box(number)
            box = Rectangle(
                (left - 0.5, top - 0.5),
                right - left,
                bottom - top,
                fill=False,
                edgecolor=LEVEL_COLORS["distant"],
                linewidth=2,
            )
            ax.add_patch(box)
            region = self._region(number, self.proximal_radius)
            _outline(ax, region, LEVEL_COLORS["proximal"], 2)
            _outline(ax, self._region(number, 0), LEVEL_COLORS["local"], 2)
            ax.annotate(
                chr(ord("A") + i),
                (left + 2, top + 2),
                ha="left",
                va="top",
                weight="bold",
                color="white",
                bbox={"boxstyle": "round,pad=0.15", "fc": "black", "lw": 0},
            )
        ax.set_title(f"{height} x {width} pixels, {segmented.n_segments} superpixels")

    def _crops(self, number: int) -> dict[str, tuple[NDArray[Any], str]]:
        """Return the picture that each level sees, and a caption."""
        rgb = picture_of(self.segmented)
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
        """Return a boolean map of the pixels within `radius` of a superpixel."""
        near = self.segmented.neighborhood(radius)[[number]].toarray()[0] > 0
        return near[self.segmented.segments]

    def _box(self, number: int) -> tuple[int, int, int, int]:
        top, left, bottom, right = self.segmented.region_boxes(self.distant_radius)[
            number
        ].tolist()
        return top, left, bottom, right


def _check_ids(
    superpixels: Sequence[int] | NDArray[Any] | None, segmented: SegmentedImage
) -> list[int]:
    """Return the chosen superpixels. None takes three on a diagonal."""
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
            f"{superpixels!r}; use segmented.segments[row, column], the superpixel "
            "of a pixel."
        )
    return numbers.tolist()


def _mark_borders(segmented: SegmentedImage) -> NDArray[np.float32]:
    """Darken the pixels whose right or lower neighbor is in another superpixel."""
    segments, rgb = segmented.segments, picture_of(segmented)
    border = np.zeros(segments.shape, dtype=bool)
    border[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    border[:-1] |= segments[:-1] != segments[1:]
    rgb[border] *= 0.6
    return rgb


def _cut_out(rgb: NDArray[Any], region: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the box around a region, white outside the region."""
    rows = np.flatnonzero(region.any(axis=1))
    columns = np.flatnonzero(region.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.where(region[box][..., None], rgb[box], 1.0)


def _outline(ax: "Axes", region: NDArray[np.bool_], color: str, width: float) -> None:
    """Draw a line around a region, also where it touches the edge of the image."""
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
