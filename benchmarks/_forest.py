"""A random forest of pixels, as in scikit-image's example of trainable segmentation.

https://scikit-image.org/docs/stable/auto_examples/segmentation/
plot_trainable_segmentation.html
"""

import numpy as np
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

from sklearn_zoomout.masks import UNLABELED

N_TREES = 100
# Pixels to draw from every image; more of each if these are too few in all.
PIXELS_PER_IMAGE, LEAST_PIXELS = 400, 8000


def describe_pixels(image):
    """Compute intensity, edges and texture of every channel at five scales.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        The image.

    Returns
    -------
    ndarray of float32 of shape (height * width, 60)
    """
    features = multiscale_basic_features(
        image, sigma_min=1, sigma_max=16, channel_axis=-1
    )
    return features.reshape(-1, features.shape[-1])


def train_forest(images, masks, seed, n_jobs, describe=describe_pixels):
    """Fit a forest to pixels drawn at random.

    Parameters
    ----------
    images, masks : sequences of ndarray
        The training images and their label maps, -1 where there is none.
    seed : int
        Seed of the drawn pixels and of the trees.
    n_jobs : int
        Number of threads for fitting and prediction.
    describe : callable, default=describe_pixels
        Returns the features of the pixels of an image.

    Returns
    -------
    RandomForestClassifier
    """
    rng = np.random.RandomState(seed)
    n_pixels = max(PIXELS_PER_IMAGE, LEAST_PIXELS // len(images))
    rows, labels = [], []
    for image, mask in zip(images, masks, strict=True):
        known = np.flatnonzero(np.ravel(mask) != UNLABELED)
        chosen = rng.permutation(known)[:n_pixels]
        rows.append(describe(image)[chosen])
        labels.append(np.ravel(mask)[chosen])
    forest = RandomForestClassifier(N_TREES, n_jobs=n_jobs, random_state=seed)
    return forest.fit(np.concatenate(rows), np.concatenate(labels))


def predict_forest(forest, images, describe=describe_pixels):
    """Label every pixel.

    Parameters
    ----------
    forest : RandomForestClassifier
        A forest of `train_forest`.
    images : sequence of ndarray
        The images.
    describe : callable, default=describe_pixels
        The same as in training.

    Returns
    -------
    list of ndarray of integers of shape (height, width)
    """
    return [
        forest.predict(describe(image)).reshape(image.shape[:2]) for image in images
    ]
