"""What all pictures share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_frame(ax: "Axes", color: str, width: float) -> None:
    """Leave out the ticks and color the frame of a picture."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(edgecolor=color, linewidth=width)
