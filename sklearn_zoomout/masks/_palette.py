"""The colors of labels, in files and in figures."""

from PIL import ImageColor

from ._colors import RGB

# First the colors of Okabe and Ito, with a dark red in place of black. Each further
# color lies as far as possible in L*a*b* from all colors before it, in normal vision,
# protanopia, deuteranopia and tritanopia.
# fmt: off
CLASS_COLORS = (
    "#56B4E9", "#009E73", "#E69F00", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#661100", "#790DE5", "#553143", "#AFF79D", "#0D318B", "#E50D43", "#AF55F7",
    "#675579", "#D3AF55", "#C1D3AF", "#1FE5F7", "#436731", "#8B0DC1", "#79C179",
)
# fmt: on
#: The color of unlabeled pixels.
COLOR_OF_UNLABELED = "#EBEBEB"
# An odd number whose multiples spread over 24 bits: 2**24 divided by the golden ratio.
_STEP = 10_368_889


def default_colors(n_labels: int) -> list[RGB]:
    """Return different colors for labels, those of the figures first.

    Parameters
    ----------
    n_labels : int
        How many colors.

    Returns
    -------
    list of tuple of 3 int
        RGB in 0..255.
    """
    listed = [ImageColor.getrgb(color)[:3] for color in CLASS_COLORS]
    colors = [(r, g, b) for r, g, b in listed]
    reserved = {*colors, ImageColor.getrgb(COLOR_OF_UNLABELED)[:3]}
    code = 0
    while len(colors) < n_labels:
        code = (code + _STEP) % 2**24
        color = (code >> 16, code >> 8 & 255, code & 255)
        if color not in reserved:
            colors.append(color)
    return colors[:n_labels]
