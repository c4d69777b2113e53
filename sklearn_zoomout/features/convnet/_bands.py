"""Which bands of an image a network sees, three at a time."""

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

from ...superpixels import SegmentedImage

#: The bands that a network sees as red, green and blue.
Triple = tuple[int, int, int]


def choose_views(
    bands: Sequence[Sequence[int]] | None, segmented: SegmentedImage, level: str
) -> tuple[Triple, ...] | None:
    """Check the parameter ``bands`` of a level, or choose all bands, each as gray.

    Parameters
    ----------
    bands : sequence of sequences of 3 int, or None
        The parameter.
    segmented : SegmentedImage
        An image of fit.
    level : str
        The name of the level in errors.

    Returns
    -------
    tuple of (int, int, int), or None
        None if the network sees the colors of the image as they are.

    Raises
    ------
    ValueError
        If the parameter is no list of triples of bands that the image has.
    """
    if bands is None:
        n_bands = segmented.n_bands
        return None if n_bands is None else tuple((i, i, i) for i in range(n_bands))
    n_channels = segmented.image.shape[2]
    if not bands or not all(_is_triple(triple, n_channels) for triple in bands):
        raise ValueError(
            f"bands: {level} expected a list of triples of integers in "
            f"0..{n_channels - 1}, such as [(0, 1, 2)], since images have {n_channels} "
            f"channels, got {bands!r}."
        )
    return tuple((int(r), int(g), int(b)) for r, g, b in bands)


def views_of(
    segmented: SegmentedImage, views: tuple[Triple, ...]
) -> Iterator[SegmentedImage]:
    """Yield an image as the network sees it, once for each of the views.

    Raises
    ------
    ValueError
        If the image lacks one of the bands.
    """
    n_channels, last = segmented.image.shape[2], max(map(max, views))
    if last >= n_channels:
        raise ValueError(
            f"image: expected at least {last + 1} channels, as in fit, got "
            f"{n_channels}; pass images of the same channels."
        )
    return (segmented.show(bands) for bands in views)


def prefixes_of(views: tuple[Triple, ...] | None) -> list[str]:
    """Return the beginnings of the names of columns, such as "band3_".

    Parameters
    ----------
    views : tuple of (int, int, int), or None
        From `choose_views`.

    Returns
    -------
    list of str
        One for each view; an empty one if the network sees colors.

    Examples
    --------
    >>> from sklearn_zoomout.features.convnet._bands import prefixes_of
    >>> prefixes_of(((0, 1, 2), (3, 3, 3)))
    ['bands0_1_2_', 'band3_']
    """
    if views is None:
        return [""]
    return [f"band{r}_" if r == g == b else f"bands{r}_{g}_{b}_" for r, g, b in views]


def _is_triple(triple: Any, n_channels: int) -> bool:
    return (
        isinstance(triple, (list, tuple))
        and len(triple) == 3
        and all(
            isinstance(i, Integral) and i is not True and int(i) in range(n_channels)
            for i in triple
        )
    )
