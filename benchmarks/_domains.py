"""The tasks of domains.py: images of many kinds, and what of them is annotated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage import color, data, filters, measure, segmentation, transform

from sklearn_zoomout.datasets import (
    fetch_stanford_background,
    load_scribbled_photographs,
    load_voc2012,
)
from sklearn_zoomout.masks import UNLABELED


@dataclass
class Task:
    """Images to learn from, and images to measure on.

    Attributes
    ----------
    images, masks : lists of ndarray
        What is learned from; -1 is unlabeled.
    test_images, test_masks : lists of ndarray
        What is measured on. For strokes these are often the same images, and the
        pixels of the strokes are left out.
    """

    images: Sequence[np.ndarray]
    masks: Sequence[np.ndarray]
    test_images: Sequence[np.ndarray]
    test_masks: Sequence[np.ndarray]


def draw_strokes(
    truth: np.ndarray, rng: np.random.RandomState, n_strokes: int = 3
) -> np.ndarray:
    """Draw up to some strokes of 3 x 20 pixels in every class, cut to the class.

    Parameters
    ----------
    truth : ndarray of int of shape (height, width)
        The label map.
    rng : RandomState
        Draws the places.
    n_strokes : int, default=3
        Strokes of a class.

    Returns
    -------
    ndarray of int of shape (height, width)
        The labels of the strokes, and -1 elsewhere.
    """
    strokes = np.full_like(truth, UNLABELED)
    for label in np.unique(truth[truth != UNLABELED]):
        places = np.argwhere(truth == label)
        for y, x in places[rng.permutation(len(places))[:n_strokes]]:
            height, width = (3, 20) if rng.rand() < 0.5 else (20, 3)
            box = (
                slice(max(y - height // 2, 0), y + height // 2 + 1),
                slice(max(x - width // 2, 0), x + width // 2 + 1),
            )
            inside = truth[box] == label
            strokes[box][inside] = label
    return strokes


def _of_strokes(
    images: Sequence[np.ndarray], truths: Sequence[np.ndarray], seed: int, n: int = 3
) -> Task:
    """Learn from strokes on the images, and measure on their other pixels."""
    rng = np.random.RandomState(seed)
    strokes = [draw_strokes(truth, rng, n) for truth in truths]
    rest = [
        np.where(stroke == UNLABELED, truth, UNLABELED)
        for stroke, truth in zip(strokes, truths, strict=True)
    ]
    return Task(images, strokes, images, rest)


def photographs(seed: int) -> Task:
    """Scribbles on four photographs, measured on other strokes."""
    found = load_scribbled_photographs()
    return Task(found.images, found.scribbles, found.images, found.checks)


def stain(seed: int) -> Task:
    """Three classes of a stained tissue, told apart by color; strokes on nine tiles."""
    image = data.immunohistochemistry()[:510, :510]
    stains = ndimage.gaussian_filter(color.rgb2hed(image), (2, 2, 0))
    truth = np.zeros(image.shape[:2], dtype=np.int64)
    haematoxylin, dab = stains[..., 0], stains[..., 2]
    truth[haematoxylin > np.quantile(haematoxylin, 0.75)] = 1
    truth[dab > np.quantile(dab, 0.8)] = 2
    corners = [(y, x) for y in range(0, 510, 170) for x in range(0, 510, 170)]
    tiles = [image[y : y + 170, x : x + 170] for y, x in corners]
    truths = [truth[y : y + 170, x : x + 170] for y, x in corners]
    return _of_strokes(tiles, truths, seed)


def _mosaic(
    textures: Sequence[np.ndarray], rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Put textures side by side in the cells of random points."""
    height, width = textures[0].shape
    points = rng.rand(9, 2) * (height, width)
    grid = np.stack(np.mgrid[:height, :width], axis=-1)[:, :, None]
    nearest = np.square(grid - points).sum(-1).argmin(-1)
    labels = np.arange(9) % len(textures)
    truth = labels[nearest]
    return _as_rgb(np.choose(truth, textures)), truth


def textures(seed: int) -> Task:
    """Mosaics of brick, grass and gravel, measured on other parts of the textures."""
    rng = np.random.RandomState(seed)
    whole = [data.brick(), data.grass(), data.gravel()]
    train = [_mosaic([t[:, :256] for t in whole], rng) for _ in range(2)]
    test = [_mosaic([t[:, 256:] for t in whole], rng) for _ in range(2)]
    strokes = [draw_strokes(truth, rng, 6) for _, truth in train]
    return Task(
        [image for image, _ in train], strokes, *map(list, zip(*test, strict=True))
    )


def one_texture_mosaic(seed: int) -> Task:
    """Strokes in a single mosaic, in which the textures are equally bright."""
    rng = np.random.RandomState(seed)
    whole = [data.brick(), data.grass(), data.gravel()]
    equal = [np.clip((t - t.mean()) / t.std() * 40 + 128, 0, 255) for t in whole]
    image, truth = _mosaic([t.astype(np.uint8) for t in equal], rng)
    return _of_strokes([image], [truth], seed, 8)


def membranes(seed: int) -> Task:
    """Membranes in an electron microscope: five slices to learn from, ten others."""
    from _membranes import read_membranes

    images, masks = read_membranes()
    images = [_as_rgb(image) for image in images]
    return Task(images[:5], masks[:5], images[5:], masks[5:])


def retina(seed: int) -> Task:
    """Vessels of a retina, strokes on its left half, measured on its right half."""
    image = transform.rescale(data.retina(), 0.5, anti_aliasing=True, channel_axis=-1)
    green = image[..., 1]
    ridges = filters.sato(green, sigmas=[2, 3], black_ridges=True)
    inside = ndimage.binary_erosion(green > 0.08, iterations=12)
    high = np.quantile(ridges[inside], 0.95)
    vessels = filters.apply_hysteresis_threshold(ridges, 0.6 * high, high)
    truth = np.where(inside, np.where(vessels, 1, 0), UNLABELED).astype(np.int64)
    image = (image * 255).round().astype(np.uint8)
    half = image.shape[1] // 2
    strokes = draw_strokes(truth[:, :half], np.random.RandomState(seed), 12)
    return Task([image[:, :half]], [strokes], [image[:, half:]], [truth[:, half:]])


def coins(seed: int) -> Task:
    """Coins on an uneven background, strokes on the upper half, measured below."""
    image = data.coins()
    markers = np.where(image > 150, 2, np.where(image < 30, 1, 0))
    found = segmentation.watershed(filters.sobel(image), markers) == 2
    found = ndimage.binary_fill_holes(found)
    sizes = measure.label(found)
    counts = np.bincount(sizes.ravel())
    truth = (found & (counts[sizes] > 300)).astype(np.int64)
    half = image.shape[0] // 2
    rgb = _as_rgb(image)
    strokes = draw_strokes(truth[:half], np.random.RandomState(seed), 5)
    return Task([rgb[:half]], [strokes], [rgb[half:]], [truth[half:]])


def stanford(n_images: int) -> Callable[[int], Task]:
    """Whole masks of some photographs, measured on the first fold's test images."""

    def make(seed: int) -> Task:
        from sklearn.model_selection import KFold

        found = fetch_stanford_background()
        folds = KFold(5, shuffle=True, random_state=0)
        train, test = next(folds.split(found.images))
        train = np.random.RandomState(seed).permutation(train)[:n_images]
        return Task(*_picked(found, train), *_picked(found, test))

    return make


def voc(seed: int) -> Task:
    """Whole masks of 50 photographs of PASCAL VOC, measured on 100 others."""
    train, test = (load_voc2012(split=split) for split in ("train", "val"))
    rng = np.random.RandomState(seed)
    learned = rng.permutation(len(train.images))[:50]
    return Task(*_picked(train, learned), *_picked(test, np.arange(100)))


def _picked(found, positions):
    """Return the images and masks at some positions."""
    images = [found.images[i] for i in positions]
    return images, [found.masks[i] for i in positions]


def _as_rgb(image: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(image, np.uint8)[..., None], 3, axis=-1)


TASKS: dict[str, Callable[[int], Task]] = {
    "photographs, scribbled": photographs,
    "stain, strokes": stain,
    "textures, strokes": textures,
    "textures, one image": one_texture_mosaic,
    "retina, strokes": retina,
    "coins, strokes": coins,
    "membranes, 5 slices": membranes,
    "Stanford Background, 5": stanford(5),
    "Stanford Background, 20": stanford(20),
    "Stanford Background, 572": stanford(572),
    "PASCAL VOC, 50": voc,
}
