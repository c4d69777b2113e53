"""The one gate for masks: what is refused, and of what training masks are warned.

A mask holds the class label of every pixel of an image. Pixels without a label are -1,
which is how scikit-learn marks unlabeled samples.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from ..images import check_sequence, refuse_masked
from ._cures import as_array, check_shape, check_values
from ._present import refuse_missing
from ._suspicion import Suspicion


def check_masks(
    masks: Any, images: Sequence[Any], name: str = "masks"
) -> list[NDArray[Any]]:
    """Check the masks of images.

    Parameters
    ----------
    masks : sequence of array-like of shape (height, width)
        Integer class labels, one per pixel; -1 where a pixel has no label.
    images : sequence of objects with a ``shape``
        The images, or anything else of shape (height, width, ...).
    name : str, default="masks"
        The name of the argument in errors.

    Returns
    -------
    list of ndarray of integers or booleans
        The masks as arrays. Floats that hold integers are converted; nothing else is
        copied.

    Raises
    ------
    TypeError
        If ``masks`` is not a sequence.
    ValueError
        If the numbers or shapes differ, or a mask does not hold class labels.
    """
    return list(iter_masks(masks, images, name))


def iter_masks(
    masks: Any, images: Sequence[Any], name: str = "masks"
) -> Iterator[NDArray[Any]]:
    """Check masks as `check_masks` does, and read each only when it is its turn."""
    if masks is None:
        refuse_missing(name)
    check_sequence(masks, name, "a mask", single_ndim=2)
    if len(masks) != len(images):
        raise ValueError(
            f"{name}: expected one mask per image, got {len(masks)} masks for "
            f"{len(images)} images."
        )
    for i, (mask, image) in enumerate(zip(masks, images, strict=True)):
        yield _check_mask(mask, f"{name}[{i}]", image.shape[:2])


def iter_training_masks(
    masks: Any, images: Sequence[Any], name: str = "masks"
) -> Iterator[NDArray[Any]]:
    """Check masks as `iter_masks` does, and warn of what looks wrong after the last.

    Parameters
    ----------
    masks, images, name
        See `check_masks`.

    Yields
    ------
    mask : ndarray of integers or booleans of shape (height, width)
        The next mask.

    Raises
    ------
    TypeError, ValueError
        See `check_masks`.

    Warns
    -----
    UnlabeledWarning
        If a label looks like a mark of unlabeled pixels, or a label that
        `mark_unlabeled` was to mark does not occur.
    SoftEdgeWarning
        If labels look like mixtures of others.
    """
    suspicion = Suspicion()
    for mask in iter_masks(masks, images, name):
        suspicion.look_at(mask)
        yield mask
    suspicion.warn(masks, name)


def _check_mask(mask: Any, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    refuse_masked(
        mask, name, "fill in the label of unlabeled pixels, mask.astype(int).filled(-1)"
    )
    mask = as_array(mask, name)
    check_shape(mask, name, shape)
    return check_values(mask, name)
