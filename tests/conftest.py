"""Small made-up images that most tests share."""

import numpy as np
import pytest

from sklearn_zoomout import SuperpixelSegmenter

SIZES = [(60, 80), (64, 72), (50, 90), (60, 80)]
COLORS = np.array([[70, 120, 200], [60, 140, 50], [150, 100, 60]])


def make_example(height, width, seed):
    """Sky, grass and a wall, with noise: a mask of three classes and its image."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=np.int64)
    mask[int(height * rng.uniform(0.4, 0.6)) :] = 1
    left = rng.integers(5, width // 2)
    mask[height // 4 : height // 2 + 5, left : left + width // 3] = 2
    image = COLORS[mask] + rng.normal(0, 4, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def examples():
    return [make_example(*size, seed) for seed, size in enumerate(SIZES)]


@pytest.fixture(scope="session")
def images(examples):
    """Four uint8 images of different sizes."""
    return [image for image, _ in examples]


@pytest.fixture(scope="session")
def masks(examples):
    """Their masks, of the classes 0, 1 and 2."""
    return [mask for _, mask in examples]


@pytest.fixture
def superpixels(images):
    """Their superpixels, anew for every test since they carry a memo."""
    return SuperpixelSegmenter(n_segments=40).fit_transform(images)
