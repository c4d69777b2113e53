"""The made-up scenes: what their labels promise, and that close-ups deceive."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import (
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.metrics import iou_per_class

SKY, FOREST, SAND, SNOW, WATER, MOON, STONE = range(7)


@pytest.fixture(scope="module")
def scenes():
    """Twenty scenes."""
    return make_scenes(20, random_state=0)


def colors_of(scenes, label):
    """Return the colors of all pixels of a class, of shape (n, 3)."""
    pairs = zip(*scenes, strict=True)
    return np.concatenate([image[mask == label] for image, mask in pairs])


def test_shapes_and_types(scenes):
    """Images are uint8 RGB, masks int16 of the same height and width."""
    images, masks = scenes
    assert len(images) == len(masks) == 20
    for image, mask in zip(images, masks, strict=True):
        assert image.shape == (120, 160, 3) and image.dtype == np.uint8
        assert mask.shape == (120, 160) and mask.dtype == np.int16


def test_any_two_neighbors_show_every_class(scenes):
    """Coasts and forests take turns, so that small subsets hold all classes."""
    masks = scenes[1]
    for first, second in zip(masks[:-1], masks[1:], strict=True):
        assert set(np.unique([first, second])) == set(range(len(SCENE_CLASSES)))
    assert not np.isin(masks[0], [FOREST, SNOW]).any()
    assert not np.isin(masks[1], [WATER, SAND]).any()


def test_seed_settles_the_scenes(scenes):
    """The same seed gives the same scenes, however many; another one does not."""
    images, masks = make_scenes(3, random_state=0)
    np.testing.assert_array_equal(images, scenes[0][:3])
    np.testing.assert_array_equal(masks, scenes[1][:3])
    assert not np.array_equal(make_scenes(1, random_state=1)[1][0], masks[0])


def test_random_state_instance_goes_on():
    """A RandomState gives new scenes in each call."""
    rng = np.random.RandomState(0)
    first, second = make_scenes(1, random_state=rng), make_scenes(1, random_state=rng)
    assert not np.array_equal(first[1][0], second[1][0])


def test_disc_is_named_by_what_surrounds_it(scenes):
    """Around a moon there is no ground, around a stone no sky."""
    for mask in scenes[1]:
        for label, never in ((MOON, [SAND, SNOW]), (STONE, [SKY, FOREST, WATER])):
            disc = mask == label
            ring = ndimage.binary_dilation(disc) & ~disc
            assert ring.any() and not np.isin(mask[ring], never).any()


def test_ground_is_named_by_what_lies_above(scenes):
    """Sand and water occur together, and snow and forest."""
    for mask in scenes[1]:
        assert (mask == SAND).any() == (mask == WATER).any()
        assert (mask == SNOW).any() == (mask == FOREST).any()


@pytest.mark.parametrize(("one", "other"), [(MOON, STONE), (SAND, SNOW), (SKY, WATER)])
def test_pairs_cannot_be_told_by_color(scenes, one, other):
    """No threshold on any mix of the channels tells most pixels of a pair."""
    first, second = colors_of(scenes, one), colors_of(scenes, other)
    overlaps = []
    for direction in np.eye(3).tolist() + [[1, 1, 1], [1, 0, -1], [1, -2, 1]]:
        lines = [np.sort(colors @ np.array(direction)) for colors in (first, second)]
        cuts = np.unique(
            np.concatenate([np.quantile(x, np.arange(50) / 50) for x in lines])
        )
        below = [np.searchsorted(x, cuts) / len(x) for x in lines]
        overlaps.append(np.abs(below[0] - below[1]).max())
    assert max(overlaps) < 0.5


@pytest.mark.slow
def test_context_pays():
    """Moon and stone are guesses from close up, and told apart from further away."""
    quick = {"descriptors": ("color", "location")}
    union = FeatureUnion(
        [("local", LocalFeatures(**quick)), ("proximal", ProximalFeatures(**quick))]
    )
    images, masks = make_scenes(36, random_state=0)
    superpixels = SuperpixelSegmenter(n_segments=150).fit_transform(images)
    table = union.fit(superpixels[:24]).transform(superpixels)
    iou = {}
    for levels in (("local",), ("local", "proximal")):
        chosen = table.select(levels)
        classifier = ZoomoutClassifier(
            (128,),
            schedule="constant",
            batch_size=512,
            max_epochs=20,
            random_state=0,
        )
        predictions = classifier.fit(chosen[:24], masks[:24]).predict(chosen[24:])
        iou[levels] = iou_per_class(masks[24:], predictions)[[MOON, STONE]]
    assert (iou["local",] < 0.75).all()
    assert (iou["local", "proximal"] > iou["local",] + 0.05).all()


def test_forest_is_easy(scenes):
    """The one class with a look of its own is darker than any other."""
    others = [colors_of(scenes, k).mean() for k in range(7) if k != FOREST]
    assert colors_of(scenes, FOREST).mean() < min(others) - 40


def test_horizon_moves(scenes):
    """The place in the image settles little: the sky ends at very different rows."""
    ends = [(mask == SKY).any(axis=1).nonzero()[0].max() for mask in scenes[1]]
    assert np.ptp(ends) > 30


def test_sizes_vary_on_request():
    """size=None draws a size for each image."""
    images, masks = make_scenes(6, size=None, random_state=0)
    assert len({image.shape for image in images}) > 3
    assert [i.shape[:2] for i in images] == [m.shape for m in masks]


@pytest.mark.parametrize("size", [(48, 48), (50, 200), (240, 320)])
def test_any_size_holds_every_class(size):
    """Also the smallest and narrowest scenes have room for the discs."""
    masks = make_scenes(2, size=size, random_state=3)[1]
    assert masks[0].shape == size
    assert set(np.unique(masks)) == set(range(7))


def test_unlabeled_band_follows_the_borders():
    """unlabeled_width=2 hides all pixels within 2 of another class and no others."""
    clean = make_scenes(2, random_state=0)
    images, masks = make_scenes(2, unlabeled_width=2, random_state=0)
    np.testing.assert_array_equal(images, clean[0])
    for mask, whole in zip(masks, clean[1], strict=True):
        distance = np.full(mask.shape, np.inf)
        for label in np.unique(whole):
            # Steps between 4-neighbors from each pixel of the class to another.
            away = ndimage.distance_transform_cdt(whole == label, "taxicab")
            distance[whole == label] = away[whole == label]
        np.testing.assert_array_equal(mask == -1, distance <= 2)
        np.testing.assert_array_equal(mask[mask != -1], whole[mask != -1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_images": 0},
        {"n_images": 2.5},
        {"size": (47, 100)},
        {"size": (100,)},
        {"size": (64.0, 64)},
        {"size": 100},
        {"unlabeled_width": -1},
        {"random_state": "seed"},
    ],
)
def test_wrong_argument_is_named(wrong):
    """An argument out of range is refused by its name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_scenes(**wrong)
