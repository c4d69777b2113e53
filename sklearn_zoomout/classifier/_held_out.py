"""Images that are held out to compute a loss on."""

import numpy as np

from ..labels import LabeledRows


def count_held_out(n_images: int, fraction: float | None) -> int:
    """Return how many images to hold out.

    Parameters
    ----------
    n_images : int
        Number of images with labels.
    fraction : float or None
        The share to hold out, ``validation_fraction``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If no image would be left to train on.
    """
    if fraction is None:
        return 0
    n_valid = max(1, round(fraction * n_images))
    if n_valid >= n_images:
        raise ValueError(
            f"validation_fraction={fraction} of {n_images} images with labels leaves "
            "no image to train on; use a smaller fraction, or more images."
        )
    return n_valid


def hold_out(
    labeled: LabeledRows, fraction: float | None, rng: np.random.RandomState
) -> tuple[LabeledRows, LabeledRows | None]:
    """Return the rows of the training images, and those of the held-out images.

    Parameters
    ----------
    labeled : LabeledRows
        The rows of all images.
    fraction : float or None
        The share of the images to hold out. None holds out none.
    rng : RandomState
        Chooses the images.

    Returns
    -------
    train : LabeledRows
    valid : LabeledRows or None

    Raises
    ------
    ValueError
        See `count_held_out`.
    """
    images = np.unique(labeled.images)
    n_valid = count_held_out(len(images), fraction)
    if n_valid == 0:
        return labeled, None
    images = rng.permutation(images)
    return labeled.of_images(images[n_valid:]), labeled.of_images(images[:n_valid])
