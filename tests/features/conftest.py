"""Images whose superpixels are squares of one label."""

import numpy as np
import pytest

from sklearn_zoomout import SegmentedImage, Superpixels


@pytest.fixture(scope="session")
def make_patches():
    """A function that makes images of 12 superpixels of given labels, and masks."""

    def make_patches(labels, seed=0, noise=0.0):
        """Return an image for each row of labels; a color tells its label."""
        rng = np.random.default_rng(seed)
        squares = np.arange(labels.shape[1]).reshape(-1, 6)
        segments = np.kron(squares, np.ones((12, 12))).astype(int)
        colors = rng.random((labels.max() + 1, 3))
        items, masks = [], []
        for row in labels:
            image = (1 - noise) * colors[row][segments]
            image = image + noise * rng.random(image.shape)
            items.append(SegmentedImage(image, segments))
            masks.append(row[segments])
        return Superpixels(items), masks

    return make_patches
