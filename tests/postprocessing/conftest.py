"""Made-up tables whose probabilities have known mistakes."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from sklearn_zoomout import (
    FeatureTable,
    SegmentedImage,
    Superpixels,
    ZoomoutClassifier,
)
from sklearn_zoomout.table import Block

LABELS = np.array([10, 20, 25])
COLORS = np.array([[60, 60, 200], [60, 160, 60], [60, 160, 60]], dtype=np.uint8)
SIZE = 14


def make_table(n_images=6, seed=0):
    """Two halves of a grid of superpixels, with islands, mistakes, unlabeled pixels.

    The left half is 10, blue; the right half 20, green. Small objects of 25 in it are
    as green, but certain; some superpixels of both halves look a little like 25.
    """
    rng = np.random.default_rng(seed)
    grid = np.arange(SIZE**2).reshape(SIZE, SIZE)
    segments = grid.repeat(3, axis=0).repeat(3, axis=1)
    items, masks, values = [], [], []
    for _ in range(n_images):
        codes = np.zeros((SIZE, SIZE), dtype=int)
        codes[:, SIZE // 2 :] = 1
        codes[2:4, 9:11] = codes[9:11, 10:12] = 2
        looks = np.eye(3)[codes]
        for row, column in rng.integers(0, SIZE, (6, 2)):
            if codes[row, column] < 2:
                looks[row, column] = [0.15, 0.15, 0.7]
        image = COLORS[codes].repeat(3, axis=0).repeat(3, axis=1)
        mask = LABELS[codes.ravel()][segments]
        mask[:2] = -1
        items.append(SegmentedImage(image, segments))
        masks.append(mask)
        values.append(looks.reshape(-1, 3) + rng.normal(0, 0.05, (SIZE**2, 3)))
    block = Block("a", ("x", "y", "z"), np.concatenate(values).astype(np.float32))
    return FeatureTable(Superpixels(items), [block]), masks


class Likeness(GaussianNB):
    """Gives features in 0..1 as probabilities, so that the mistakes are known."""

    def predict_proba(self, x):
        x = np.clip(x[:, : len(self.classes_)], 0.01, None)
        return x / x.sum(axis=1, keepdims=True)


@pytest.fixture
def classifier():
    """A classifier of milliseconds that makes the mistakes of the table."""
    return ZoomoutClassifier(estimator=Likeness(), standardize=False, class_weight=None)


@pytest.fixture(scope="session")
def data():
    return make_table()


@pytest.fixture(scope="session")
def new_data():
    return make_table(seed=1)
