"""The colors and the frames that all figures share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colors of the paper's figures 1 to 3.
LEVEL_COLORS = {
    "local": "#E6001F",
    "proximal": "#00C8D7",
    "distant": "#FF8C00",
    "global": "#1FA81F",
}


def draw_frame(ax: "Axes", color: str, width: float) -> None:
    """Remove the ticks of a picture and color its frame."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(edgecolor=color, linewidth=width)
