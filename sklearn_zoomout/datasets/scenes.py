"""Made-up landscapes in which what a thing is depends on what surrounds it."""

from numbers import Integral

import numpy as np
from numpy.random import RandomState
from scipy.ndimage import binary_erosion, gaussian_filter, zoom
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

SCENE_CLASSES = ("sky", "forest", "sand", "snow", "water", "moon", "stone")
"""Names of the classes of `make_scenes`: that of label k at position k."""

_SKY, _FOREST, _SAND, _SNOW, _WATER, _MOON, _STONE = range(len(SCENE_CLASSES))
_SMALLEST = 48  # pixels; the discs need room
_DARK_BLUE = np.array([0.36, 0.53, 0.74])
_LIGHT_BLUE = np.array([0.66, 0.79, 0.90])
_CREAM = np.array([0.87, 0.80, 0.66])
_WHITE = np.array([0.88, 0.89, 0.91])


@validate_params(
    {
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "size": [tuple, list, None],
        "void_width": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_scenes(
    n_images: int = 20,
    *,
    size: tuple[int, int] | None = (120, 160),
    void_width: int = 0,
    random_state: int | RandomState | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Make small landscapes with exact labels that only context can tell apart.

    Coasts and winter forests take turns. Three pairs of classes look alike from
    close up, and each of them needs a look from further away:

    - moon and stone are the same gray disc: what surrounds it tells (the
      proximal level);
    - sky and water have the same blues: a superpixel of either is light or dark,
      but in water light and dark waves lie side by side (the proximal and the
      distant level);
    - sand and snow are the same pale grain: sand lies below water, snow below a
      forest, which may be far away (the distant and the global level).

    The horizon lies anywhere between a fifth and two thirds of the height, so that
    the place in the image settles little. Light, tint and noise change from image
    to image. Moon and stone are rare: about 1 % and 2 % of the pixels.

    Parameters
    ----------
    n_images : int, default=20
        Number of images. Images 0, 2, ... are coasts, images 1, 3, ... winter
        forests, so that any two neighbors show all seven classes. Image i does not
        depend on `n_images`.
    size : (int, int) or None, default=(120, 160)
        Height and width in pixels, each at least 48. None draws a size of about
        120x160 for each image.
    void_width : int, default=0
        Width in pixels of a band of unknown labels (-1) on each side of the
        borders between regions.
    random_state : int, RandomState instance or None, default=None
        An int makes the same scenes in each call.

    Returns
    -------
    images : list of ndarray of shape (height, width, 3), dtype uint8
        The pictures, RGB.
    masks : list of ndarray of shape (height, width), dtype int16
        The labels 0..6 of `SCENE_CLASSES`, or -1 for unknown.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
    >>> images, masks = make_scenes(4, random_state=0)
    >>> images[0].shape, masks[0].shape
    ((120, 160, 3), (120, 160))
    >>> SCENE_CLASSES[masks[0][0, 0]]
    'sky'
    """
    if size is not None:
        whole = [isinstance(n, Integral) and n >= _SMALLEST for n in size]
        if len(whole) != 2 or not all(whole):
            raise ValueError(
                "size: expected None or two integers (height, width) of at least "
                f"{_SMALLEST} pixels, got {size!r}."
            )
    rng = check_random_state(random_state)
    scenes = [_make_scene(size, i % 2 == 0, void_width, rng) for i in range(n_images)]
    images, masks = (list(arrays) for arrays in zip(*scenes, strict=True))
    return images, masks


def _make_scene(
    size: tuple[int, int] | None, coast: bool, void_width: int, rng: RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Paint one scene from back to front, image and labels together."""
    # Drawn in any case, so that the same seed gives the same scene at any size.
    height, width = rng.randint((102, 136), (139, 185)).tolist()
    if size is not None:
        height, width = size
    shape = (height, width)
    horizon = rng.uniform(0.22, 0.62) * height
    shore = horizon + rng.uniform(0.14, 0.24) * height

    image = _sky(shape, rng)
    mask = np.full(shape, _SKY, dtype=np.int16)
    if coast:
        _paint(image, mask, _below(shape, horizon), _WATER, _waves(shape, rng))
    else:
        trees = _treetops(shape, horizon, rng)
        _paint(image, mask, trees, _FOREST, _foliage(shape, rng))
    ground = _below(shape, shore + _rolling(shape, rng))
    _paint(image, mask, ground, _SAND if coast else _SNOW, _pale_grain(shape, rng))

    # Discs lie wholly in the sky or wholly on the ground.
    for label, behind, n_discs in (
        (_MOON, _SKY, rng.randint(1, 3)),
        (_STONE, _SAND if coast else _SNOW, rng.randint(2, 5)),
    ):
        for _ in range(n_discs):
            disc, color = _disc(mask == behind, rng)
            _paint(image, mask, disc, label, color)

    if void_width:
        mask[~_interior(mask, void_width)] = -1
    return _photograph(image, rng), mask


def _paint(
    image: np.ndarray,
    mask: np.ndarray,
    where: np.ndarray,
    label: int,
    color: np.ndarray,
) -> None:
    """Cover the pixels `where` with a texture and its label, in place."""
    image[where] = color[where]
    mask[where] = label


def _below(shape: tuple[int, int], line: float | np.ndarray) -> np.ndarray:
    """Tell which pixels lie below a line, its row given per column or once."""
    return np.arange(shape[0])[:, None] >= np.broadcast_to(line, shape[1])[None, :]


def _rolling(shape: tuple[int, int], rng: RandomState) -> np.ndarray:
    """Return a smooth random height per column, in pixels."""
    coarse = rng.normal(scale=0.025 * shape[0], size=5)
    return zoom(coarse, shape[1] / 5, order=3, grid_mode=True, mode="nearest")


def _blotches(
    shape: tuple[int, int], sigma: float | tuple[float, float], rng: RandomState
) -> np.ndarray:
    """Return smooth noise in 0..1 with a grain of about `sigma` pixels."""
    noise = gaussian_filter(rng.normal(size=shape), sigma, mode="reflect")
    return np.clip(0.5 + 0.25 * noise / noise.std(), 0, 1)[..., None]


def _blue(share: np.ndarray) -> np.ndarray:
    """Mix the two blues that sky and water have in common."""
    return _DARK_BLUE + share * (_LIGHT_BLUE - _DARK_BLUE)


def _sky(shape: tuple[int, int], rng: RandomState) -> np.ndarray:
    """Paint one slow change from blue to blue, whose direction varies."""
    row, col = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + 0.6 * (np.sin(angle) * (row - 0.4) + np.cos(angle) * (col - 0.5))
    return _blue(np.clip(ramp + 0.35 * (rng.uniform() - 0.5), 0, 1)[..., None])


def _waves(shape: tuple[int, int], rng: RandomState) -> np.ndarray:
    """Paint level bands of light and dark blue that waver."""
    row = np.arange(shape[0])[:, None]
    period = rng.uniform(0.085, 0.12) * shape[0]
    waver = 4 * _blotches(shape, (4, 16), rng)[..., 0]
    crest = np.sin(2 * np.pi * row / period + waver + rng.uniform(0, 2 * np.pi))
    return _blue(np.clip(0.5 + 0.9 * crest, 0, 1)[..., None])


def _treetops(shape: tuple[int, int], horizon: float, rng: RandomState) -> np.ndarray:
    """Tell which pixels lie below a jagged row of conifers."""
    col = np.arange(shape[1])
    width = 0.12 * shape[1]  # of two trees
    tree = (col / width // 0.5).astype(int)
    peak = rng.uniform(0.05, 0.13, size=tree.max() + 1) * shape[0]
    side = np.abs((col / width) % 0.5 - 0.25) * 4  # 0 at the top, 1 at the foot
    return _below(shape, horizon - peak[tree] * (1 - side))


def _foliage(shape: tuple[int, int], rng: RandomState) -> np.ndarray:
    """Paint dark green with fine upright structure."""
    dark, light = np.array([0.10, 0.22, 0.14]), np.array([0.30, 0.45, 0.26])
    return dark + _blotches(shape, (2.0, 0.8), rng) * (light - dark)


def _pale_grain(shape: tuple[int, int], rng: RandomState) -> np.ndarray:
    """Paint the ground, sand or snow alike: anything from cream to white."""
    base = _CREAM + rng.uniform() * (_WHITE - _CREAM)
    shade = 0.16 * (_blotches(shape, (5, 14), rng) - 0.5)
    return base + shade + 0.10 * (_blotches(shape, 0.6, rng) - 0.5)


def _disc(free: np.ndarray, rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return a disc inside the free pixels, as (where, color)."""
    shape = free.shape
    radius = rng.uniform(0.045, 0.075) * min(shape)
    margin = np.ceil(radius).astype(int) + 1
    room = binary_erosion(free, np.ones((3, 3)), iterations=margin, border_value=0)
    rows, cols = np.nonzero(room if room.any() else free)
    at = rng.randint(len(rows))
    row, col = np.ogrid[: shape[0], : shape[1]]
    dy, dx = (row - rows[at]) / radius, (col - cols[at]) / radius
    light = np.clip(0.75 - 0.3 * (dx + dy), 0, 1)[..., None]
    gray = np.array([0.70, 0.68, 0.65]) * rng.uniform(0.75, 1.0)
    color = gray * (0.55 + 0.45 * light) + 0.12 * (_blotches(shape, 1.5, rng) - 0.5)
    return (dy**2 + dx**2 <= 1) & free, color


def _interior(mask: np.ndarray, width: int) -> np.ndarray:
    """Tell which pixels have no other label within `width` pixels."""
    inside = np.ones(mask.shape, dtype=bool)
    for label in np.unique(mask):
        part = mask == label
        eroded = binary_erosion(part, iterations=width, border_value=1)
        inside &= eroded | ~part
    return inside


def _photograph(image: np.ndarray, rng: RandomState) -> np.ndarray:
    """Light the scene, tint it, add noise, and round to 8 bits."""
    height, width = image.shape[:2]
    gain = rng.uniform(0.78, 1.05)
    tint = rng.uniform(0.94, 1.06, size=3)
    slope = rng.uniform(-0.10, 0.10)
    light = gain * (1 + slope * np.linspace(-1, 1, width))[None, :, None]
    noise = rng.normal(scale=0.02, size=(height, width, 3))
    pixels = 255 * (image * light * tint + noise)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
