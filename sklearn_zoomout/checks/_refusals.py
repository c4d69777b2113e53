"""Checks of bad input: it is refused with an error that says which item is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..superpixels import Superpixels
from ..table import FeatureTable
from ._comparing import fitted, output_methods, require_refusal, skip
from ._given import Given

# Which item is made wrong: neither the first nor the last.
_WRONG = 1


def _refuse_in_all(
    estimator: Any, given: Given, X: Any, what: str, says: tuple[str, ...] = ()
) -> None:
    """Fail unless fit and all methods refuse an input."""
    require_refusal(lambda: clone(estimator).fit(X, given.y), f"{what} in fit", says)
    used = fitted(estimator, given)
    for name in output_methods(used):
        method = getattr(used, name)
        require_refusal(lambda: method(X), f"{what} in {name}", says)  # noqa: B023


def check_one_array_is_refused(estimator: Any, given: Given) -> None:
    """One array in place of a list of images, or of the steps' own containers."""
    _refuse_in_all(estimator, given, given.images[0], "one array")


def check_empty_list_is_refused(estimator: Any, given: Given) -> None:
    """No image at all, to fit to."""
    if given.kind.input == "images":
        empty: Any = []
    elif given.kind.input == "superpixels":
        empty = Superpixels([])
    else:
        empty = given.X[np.arange(0)]
    require_refusal(lambda: clone(estimator).fit(empty, []), "an empty list")


def check_other_types_are_refused(estimator: Any, given: Given) -> None:
    """Text, None, and a dictionary are no images."""
    for X in ("images", None, {"images": given.images}):
        _refuse_in_all(estimator, given, X, f"a {type(X).__name__}")


def check_numbers_are_refused(estimator: Any, given: Given) -> None:
    """A table of numbers, as other estimators of scikit-learn take it, is refused."""
    numbers = np.arange(12.0).reshape(4, 3)
    _refuse_in_all(estimator, given, numbers, "a table of numbers")


def check_nan_image_is_refused(estimator: Any, given: Given) -> None:
    """An image with NaN, by its number."""
    images = [image / 255 for image in given.images]
    images[_WRONG][3, 4] = np.nan
    _refuse_in_all(estimator, given, images, "an image with NaN", (f"[{_WRONG}]",))


def check_image_of_wrong_shape_is_refused(estimator: Any, given: Given) -> None:
    """An image with another number of axes, by its number."""
    images = list(given.X)
    images[_WRONG] = images[_WRONG][None]
    what = "an image of four axes"
    _refuse_in_all(estimator, given, images, what, (f"[{_WRONG}]",))


def check_empty_image_is_refused(estimator: Any, given: Given) -> None:
    """An image without pixels, by its number."""
    images = list(given.X)
    images[_WRONG] = images[_WRONG][:0]
    what = "an image without pixels"
    _refuse_in_all(estimator, given, images, what, (f"[{_WRONG}]",))


def check_missing_image_is_refused(estimator: Any, given: Given) -> None:
    """None in place of an image, as failed readers return it, by its number."""
    images: list[Any] = list(given.X)
    images[_WRONG] = None
    _refuse_in_all(estimator, given, images, "a missing image", (f"[{_WRONG}]",))


def check_nan_feature_is_refused(estimator: Any, given: Given) -> None:
    """A feature that is NaN, in fit and in prediction."""
    blocks = list(given.X.blocks)
    values = blocks[0].values.copy()
    values[2, 0] = np.nan
    blocks[0] = replace(blocks[0], values=values)
    table = FeatureTable(given.X.superpixels, blocks)
    _refuse_in_all(estimator, given, table, "a feature that is NaN")


def check_other_columns_are_refused(estimator: Any, given: Given) -> None:
    """Other columns than those of fit."""
    used = fitted(estimator, given)
    fewer = given.X.select(given.X.block_names[:1])
    renamed = given.X.rename_blocks([f"other_{n}" for n in given.X.block_names])
    for X, what in ((fewer, "fewer columns"), (renamed, "columns of other names")):
        for name in output_methods(used):
            method = getattr(used, name)
            require_refusal(lambda: method(X), f"{what} in {name}")  # noqa: B023


def _refuse_masks(
    estimator: Any, given: Given, masks: Any, what: str, says: tuple[str, ...] = ()
) -> None:
    """Fail unless fit and score refuse masks."""
    require_refusal(
        lambda: clone(estimator).fit(given.X, masks), f"{what} in fit", says
    )
    used = fitted(estimator, given)
    if hasattr(used, "score"):
        require_refusal(lambda: used.score(given.X, masks), f"{what} in score", says)


def _with_wrong(given: Given, mask: NDArray[Any]) -> list[NDArray[Any]]:
    return [*given.y[:_WRONG], mask, *given.y[_WRONG + 1 :]]


def check_wrong_number_of_masks_is_refused(estimator: Any, given: Given) -> None:
    """Fewer or more masks than images; the error has both numbers."""
    n = len(given.images)
    for masks in (given.y[:-1], [*given.y, given.y[0]]):
        says = (str(len(masks)), str(n))
        _refuse_masks(estimator, given, masks, f"{len(masks)} masks", says)


def check_mask_of_wrong_shape_is_refused(estimator: Any, given: Given) -> None:
    """A mask of another shape than its image, by its number."""
    masks = _with_wrong(given, given.y[_WRONG][:-1])
    what = "a mask of another shape"
    _refuse_masks(estimator, given, masks, what, (f"[{_WRONG}]",))


def check_nan_mask_is_refused(estimator: Any, given: Given) -> None:
    """A mask with NaN, by its number."""
    mask = given.y[_WRONG].astype(np.float64)
    mask[0, 0] = np.nan
    masks = _with_wrong(given, mask)
    _refuse_masks(estimator, given, masks, "a mask with NaN", (f"[{_WRONG}]",))


def check_fractional_mask_is_refused(estimator: Any, given: Given) -> None:
    """A mask whose labels are no integers, by its number."""
    masks = _with_wrong(given, given.y[_WRONG] + 0.5)
    what = "a mask of fractions"
    _refuse_masks(estimator, given, masks, what, (f"[{_WRONG}]",))


def check_rgb_mask_is_refused(estimator: Any, given: Given) -> None:
    """A mask of colors, by its number."""
    masks = _with_wrong(given, given.images[_WRONG])
    _refuse_masks(estimator, given, masks, "a mask of colors", (f"[{_WRONG}]",))


def check_one_mask_is_refused(estimator: Any, given: Given) -> None:
    """One mask that is in no list."""
    _refuse_masks(estimator, given, given.y[0], "one mask in no list")


def check_unlabeled_masks_are_refused(estimator: Any, given: Given) -> None:
    """Masks without any label."""
    masks = [np.full_like(mask, -1) for mask in given.y]
    require_refusal(
        lambda: clone(estimator).fit(given.X, masks), "masks without a label"
    )


def check_unknown_label_is_refused(estimator: Any, given: Given) -> None:
    """A label in score that fit has not seen; the error has it."""
    used = fitted(estimator, given)
    if not hasattr(used, "score"):
        skip("it has no score")
    mask = given.y[_WRONG].copy()
    mask[0, 0] = 77
    masks = _with_wrong(given, mask)
    require_refusal(lambda: used.score(given.X, masks), "an unknown label", ["77"])
