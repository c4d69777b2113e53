"""Checks of input in other forms: what holds the same values gives the same."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._utils.lazy import LazySequence
from ._comparing import (
    ROUNDING,
    content,
    errors_fail,
    fitted,
    fitted_outputs,
    outputs,
    require,
    require_same,
    skip,
)
from ._given import Given


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


def _reversed(array: NDArray[Any]) -> NDArray[Any]:
    """Return an equal array with negative strides."""
    return array[::-1].copy()[::-1]


def _every_second(array: NDArray[Any]) -> NDArray[Any]:
    """Return an equal array that skips every second value of another."""
    return np.repeat(array, 2, axis=1)[:, ::2]


def _big_endian(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == np.uint8:
        array = array / 255
    return array.astype(array.dtype.newbyteorder(">"))


def _check_form(
    estimator: Any,
    given: Given,
    form: Callable[[NDArray[Any]], NDArray[Any]],
    what: str,
) -> None:
    """Fail unless input and masks in another form give the same."""
    expected = fitted_outputs(estimator, given.X, given.y)
    changed = given.input_of(given.images, form)
    with errors_fail(f"{what} is refused"):
        found = fitted_outputs(estimator, changed, [form(mask) for mask in given.y])
    require_same(found, expected, f"{what} gives something else", **ROUNDING)


def check_read_only_input(estimator: Any, given: Given) -> None:
    """Arrays that cannot be written to, such as memory maps, give the same."""
    _check_form(estimator, given, _read_only, "read-only input")


def check_fortran_order(estimator: Any, given: Given) -> None:
    """Arrays in Fortran's order give the same."""
    _check_form(estimator, given, np.asfortranarray, "input in Fortran's order")


def check_negative_strides(estimator: Any, given: Given) -> None:
    """Arrays that are turned upside down, as views, give the same."""
    _check_form(estimator, given, _reversed, "input of negative strides")


def check_non_contiguous(estimator: Any, given: Given) -> None:
    """Arrays that lie in memory with gaps give the same."""
    _check_form(estimator, given, _every_second, "input with gaps")


def check_big_endian(estimator: Any, given: Given) -> None:
    """Arrays of big-endian numbers give the same."""
    _check_form(estimator, given, _big_endian, "big-endian input")


def check_uint8_and_float(estimator: Any, given: Given) -> None:
    """Images in uint8 and the same images divided by 255 give the same."""
    if any(image.dtype != np.uint8 for image in given.images):
        skip("the images are not in uint8")
    expected = fitted_outputs(estimator, given.X, given.y)
    for dtype in (np.float64, np.float32):
        floats = given.input_of([(image / 255).astype(dtype) for image in given.images])
        with errors_fail(f"images of {dtype.__name__} in 0..1 are refused"):
            found = fitted_outputs(estimator, floats, given.y)
        message = f"images of {dtype.__name__} in 0..1 give something else"
        require_same(found, expected, message, **ROUNDING)


def check_mask_dtypes(estimator: Any, given: Given) -> None:
    """Masks of every integer type give the same."""
    expected = fitted_outputs(estimator, given.X, given.y)
    for dtype in (np.uint8, np.int16, np.uint32):
        masks = [mask.astype(dtype) for mask in given.y]
        with errors_fail(f"masks of {dtype.__name__} are refused"):
            found = fitted_outputs(estimator, given.X, masks)
        require_same(found, expected, f"masks of {dtype.__name__} give something else")


def check_input_unchanged(estimator: Any, given: Given) -> None:
    """No method changes images, superpixels or features."""
    before = content(given.X)
    estimator = fitted(estimator, given)
    require(content(given.X) == before, "fit changes its input")
    outputs(estimator, given.X)
    require(content(given.X) == before, "transform or predict changes its input")


def check_masks_unchanged(estimator: Any, given: Given) -> None:
    """No method changes masks."""
    before = [mask.copy() for mask in given.y]
    estimator = fitted(estimator, given)
    if hasattr(estimator, "score"):
        estimator.score(given.X, given.y)
    same = all(map(np.array_equal, given.y, before))
    require(same, "fit or score changes the masks")


def _check_container(estimator: Any, given: Given, X: Any, y: Any, what: str) -> None:
    expected = fitted_outputs(estimator, given.X, given.y)
    with errors_fail(f"{what} is refused"):
        found = fitted_outputs(estimator, X, y)
    require_same(found, expected, f"{what} gives something else", **ROUNDING)


def check_tuples(estimator: Any, given: Given) -> None:
    """Tuples of images and of masks are taken like lists."""
    X = tuple(given.X) if given.kind.input == "images" else given.X
    _check_container(estimator, given, X, tuple(given.y), "a tuple")


def check_object_arrays(estimator: Any, given: Given) -> None:
    """Object arrays of images and of masks are taken like lists."""
    X = _object_array(given.X) if given.kind.input == "images" else given.X
    _check_container(estimator, given, X, _object_array(given.y), "an object array")


def check_lazy_sequences(estimator: Any, given: Given) -> None:
    """Sequences that read images and masks when asked are taken like lists."""
    X = _lazy(given.X) if given.kind.input == "images" else given.X
    _check_container(estimator, given, X, _lazy(given.y), "a lazy sequence")


def check_list_of_segmented_images(estimator: Any, given: Given) -> None:
    """A list of `SegmentedImage` is taken like `Superpixels`."""
    _check_container(estimator, given, list(given.X), given.y, "a list")


def check_view_of_images(estimator: Any, given: Given) -> None:
    """A part of more superpixels or of a larger table gives what a whole one does."""
    n = len(given.images)
    twice = replace(
        given,
        images=2 * given.images,
        masks=2 * given.masks,
        segments=2 * given.segments,
    )
    part = twice.X[np.arange(n, 2 * n)]
    _check_container(estimator, given, part, given.y, "a view of images")


def check_equal_images(estimator: Any, given: Given) -> None:
    """Equal images of other objects give the same as those of fit."""
    estimator = fitted(estimator, given)
    found = outputs(estimator, given.fresh().X)
    message = "equal images in other objects give something else"
    require_same(found, outputs(estimator, given.X), message, **ROUNDING)


def _object_array(items: list[Any]) -> NDArray[np.object_]:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


class _Item:
    """Returns one of some arrays; it can be pickled."""

    def __init__(self, arrays: list[NDArray[Any]]) -> None:
        self.arrays = arrays

    def __call__(self, i: int) -> NDArray[Any]:
        return self.arrays[i].copy()


def _lazy(items: list[NDArray[Any]]) -> LazySequence:
    return LazySequence(_Item(items), range(len(items)))


def check_one_image(estimator: Any, given: Given) -> None:
    """It is fitted to images and used on a list of one."""
    estimator = clone(estimator).fit(given.X, given.y)
    with errors_fail("a list of one image is refused"):
        found = outputs(estimator, given.take([0])[0])
    n_methods = len(outputs(estimator, given.X)) // len(given.images)
    require(len(found) == n_methods, "a list of one image gives no output of one image")


def check_larger_images(estimator: Any, given: Given) -> None:
    """Images of twice the height and width are taken after a fit to small ones."""
    larger = Given(
        given.kind,
        [_twice(image) for image in given.images],
        [_twice(mask) for mask in given.masks],
        [_twice(segments) for segments in given.segments],
        given.n_segments,
    )
    estimator = fitted(estimator, given)
    with errors_fail("images of twice the height and width are refused"):
        found = outputs(estimator, larger.X)
    shapes = [v.shape[:2] for v in found[: len(given.images)]]
    if given.kind.output != "table":
        expected = [mask.shape for mask in larger.masks]
        require(shapes == expected, f"shapes {shapes} instead of {expected}")


def _twice(array: NDArray[Any]) -> NDArray[Any]:
    return array.repeat(2, axis=0).repeat(2, axis=1)
