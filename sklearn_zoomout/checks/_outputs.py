"""Checks of what transform and predict return for every image."""

from typing import Any

import numpy as np
from sklearn.base import clone

from ..superpixels import Superpixels
from ..table import FeatureTable
from ._comparing import (
    ROUNDING,
    fitted,
    output_methods,
    outputs,
    per_image,
    require,
    require_same,
    skip,
)
from ._given import Given


def check_one_output_per_image(estimator: Any, given: Given) -> None:
    """Samples are images: every output has one item per image."""
    estimator = fitted(estimator, given)
    for name in output_methods(estimator):
        for n in (len(given.images), 1):
            output = getattr(estimator, name)(given.take(range(n))[0])
            message = f"{name} returns {len(output)} items for {n} images"
            require(len(output) == n, message)


def check_outputs_are_finite(estimator: Any, given: Given) -> None:
    """Outputs of valid images hold no NaN or infinity."""
    for values in outputs(fitted(estimator, given), given.X):
        require(np.isfinite(values).all(), "an output holds NaN or infinity")


def check_output_types(estimator: Any, given: Given) -> None:
    """Outputs are Superpixels, a FeatureTable, or an object array of label maps."""
    estimator = fitted(estimator, given)
    types = {"superpixels": Superpixels, "table": FeatureTable, "labels": np.ndarray}
    expected = types[given.kind.output]
    for name in output_methods(estimator):
        if name == "transform" and given.kind.output == "labels":
            continue
        output = getattr(estimator, name)(given.X)
        got = f"{name} returns {type(output).__name__}, not {expected.__name__}"
        require(isinstance(output, expected), got)
        if expected is np.ndarray:
            is_list = output.ndim == 1 and output.dtype == object
            message = (
                f"{name} returns no object array of one axis, which indexing needs"
            )
            require(is_list, message)


def check_output_dtypes(estimator: Any, given: Given) -> None:
    """Features are float32, labels are integers, probabilities floating point."""
    estimator = fitted(estimator, given)
    expected = {"predict": "iu", "predict_proba": "f", "transform": "iuf"}
    for name in output_methods(estimator):
        output = getattr(estimator, name)(given.X)
        for values in per_image(output):
            right = values.dtype.kind in expected[name]
            require(right, f"{name} returns values of {values.dtype}")
        if isinstance(output, FeatureTable):
            others = {b.values.dtype for b in output.blocks} - {np.dtype(np.float32)}
            require(not others, f"{name} returns features of {others}, not of float32")


def check_output_shapes(estimator: Any, given: Given) -> None:
    """Every output has the height and width of its image, or its superpixels."""
    estimator = fitted(estimator, given)
    for name in output_methods(estimator):
        output = getattr(estimator, name)(given.X)
        if isinstance(output, FeatureTable):
            _require_rows_of_superpixels(output, given)
            continue
        for i, values in enumerate(per_image(output)):
            expected = given.images[i].shape[:2]
            message = f"{name} returns shape {values.shape} for an image of {expected}"
            require(values.shape[:2] == expected, message)
            require(values.ndim == (3 if name == "predict_proba" else 2), message)


def _require_rows_of_superpixels(table: FeatureTable, given: Given) -> None:
    known = given.X
    if given.kind.input == "table":
        known = given.X.superpixels
    elif given.kind.input == "images":
        known = table.superpixels
    for i, (described, segmented) in enumerate(
        zip(table.superpixels, known, strict=True)
    ):
        same = np.array_equal(described.segments, segmented.segments)
        require(same, f"the table describes other superpixels of image {i}")
        shape = given.images[i].shape[:2]
        require(described.shape == shape, f"image {i} of the table has another shape")


def check_outputs_are_copies(estimator: Any, given: Given) -> None:
    """Who changes an output does not change the next one."""
    estimator = fitted(estimator, given)
    for name in output_methods(estimator):
        method = getattr(estimator, name)
        first = method(given.X)
        expected = [np.array(values) for values in per_image(first)]
        parts = [b.values for b in first.blocks] if hasattr(first, "blocks") else first
        if isinstance(first, Superpixels):
            parts = [segmented.segments for segmented in first]
        for values in parts:
            if isinstance(values, np.ndarray) and values.flags.writeable:
                values[...] = 0
        if given.kind.input == "table" and given.kind.output == "table":
            continue  # columns may be passed on as they are
        message = f"a change of what {name} returned changes its next output"
        require_same(per_image(method(given.X)), expected, message)


def check_repeated_output(estimator: Any, given: Given) -> None:
    """A second call returns the same."""
    estimator = fitted(estimator, given)
    message = "the second output differs from the first"
    require_same(outputs(estimator, given.X), outputs(estimator, given.X), message)


def check_order_of_images(estimator: Any, given: Given) -> None:
    """Images in another order get the same outputs in that order."""
    estimator = fitted(estimator, given)
    order = np.roll(np.arange(len(given.images)), 1)
    for name in output_methods(estimator):
        method = getattr(estimator, name)
        expected = per_image(method(given.X))
        moved = per_image(method(given.take(order)[0]))
        message = f"{name} depends on the order of images"
        require_same(moved, [expected[i] for i in order], message, **ROUNDING)


def check_image_alone(estimator: Any, given: Given) -> None:
    """The output of an image does not depend on the other images."""
    estimator = fitted(estimator, given)
    for name in output_methods(estimator):
        method = getattr(estimator, name)
        expected = per_image(method(given.X))
        for i in range(len(given.images)):
            alone = per_image(method(given.take([i])[0]))
            message = f"{name} of an image depends on other images"
            require_same(alone, [expected[i]], message, **ROUNDING)


def check_duplicates(estimator: Any, given: Given) -> None:
    """An image that comes twice gets the same output twice."""
    estimator = fitted(estimator, given)
    for name in output_methods(estimator):
        method = getattr(estimator, name)
        expected = per_image(method(given.take([0, 1])[0]))
        twice = per_image(method(given.take([0, 0, 1])[0]))
        message = f"{name} treats an image that comes twice otherwise"
        wanted = [expected[0], expected[0], expected[1]]
        require_same(twice, wanted, message, **ROUNDING)


def check_fit_transform(estimator: Any, given: Given) -> None:
    """fit_transform returns the same as fit and then transform."""
    if not hasattr(estimator, "fit_transform") or not hasattr(estimator, "transform"):
        skip("it has no fit_transform")
    together = per_image(clone(estimator).fit_transform(given.X, given.y))
    apart = per_image(fitted(estimator, given).transform(given.X))
    require_same(together, apart, "fit_transform differs from fit().transform()")


def check_fit_transform_fits(estimator: Any, given: Given) -> None:
    """After fit_transform it is fitted."""
    if not hasattr(estimator, "fit_transform") or not hasattr(estimator, "transform"):
        skip("it has no fit_transform")
    estimator = clone(estimator)
    estimator.fit_transform(given.X, given.y)
    other = fitted(estimator, given)
    message = "after fit_transform, transform differs from that after fit"
    require_same(outputs(estimator, given.X), outputs(other, given.X), message)


def check_feature_names_are_those_of_the_table(estimator: Any, given: Given) -> None:
    """get_feature_names_out names the columns of the table, in their order."""
    if not hasattr(estimator, "get_feature_names_out"):
        skip("it has no get_feature_names_out")
    estimator = fitted(estimator, given)
    table = estimator.transform(given.X)
    names = list(estimator.get_feature_names_out())
    message = f"{len(names)} names for {table.n_columns} columns"
    require(len(names) == table.n_columns, message)
    columns = table.columns
    without_blocks = [_after_prefix(column) for column in columns]
    # A level names its columns without its block, and a union with the name of a step.
    right = without_blocks in (names, [_after_prefix(name) for name in names])
    require(right, "the table names its columns otherwise than get_feature_names_out")


def _after_prefix(name: str) -> str:
    return name.partition("__")[2]


def check_feature_names_are_different(estimator: Any, given: Given) -> None:
    """Every column of the table has a name of its own."""
    columns = fitted(estimator, given).transform(given.X).columns
    require(len(set(columns)) == len(columns), "two columns have the same name")


def check_feature_names_are_text(estimator: Any, given: Given) -> None:
    """get_feature_names_out returns an array of text, as scikit-learn's do."""
    if not hasattr(estimator, "get_feature_names_out"):
        skip("it has no get_feature_names_out")
    names = fitted(estimator, given).get_feature_names_out()
    is_array = isinstance(names, np.ndarray) and names.ndim == 1
    require(is_array, "get_feature_names_out returns no array of one axis")
    is_text = all(isinstance(name, str) for name in names)
    require(is_text, "get_feature_names_out returns names that are no text")


def check_columns_do_not_depend_on_images(estimator: Any, given: Given) -> None:
    """The columns are those of fit, whatever images are described."""
    estimator = fitted(estimator, given)
    expected = estimator.transform(given.X).columns
    for i in range(len(given.images)):
        columns = estimator.transform(given.take([i])[0]).columns
        require(columns == expected, f"image {i} alone has other columns than all")


def check_rows_are_told_apart(estimator: Any, given: Given) -> None:
    """Some column of the table differs between superpixels or images."""
    rows = fitted(estimator, given).transform(given.X).to_numpy()
    require(rows.shape[1] > 0, "the table has no columns")
    require(bool((rows != rows[:1]).any()), "all rows of the table are equal")


def check_superpixels_hold_the_images(estimator: Any, given: Given) -> None:
    """The superpixels of an image have its pixels, and cover it."""
    for i, segmented in enumerate(fitted(estimator, given).transform(given.X)):
        same = segmented.image.shape[:2] == given.images[i].shape[:2]
        require(same, f"image {i} of the superpixels has another shape")
        n = segmented.n_segments
        require(1 <= n <= segmented.segments.size, f"image {i} has {n} superpixels")
        # Values may be scaled to another range, and gray ones repeated.
        held = segmented.channels.mean(axis=2).ravel()
        image = given.images[i].mean(axis=2).ravel()
        close = np.ptp(image) == 0 or np.corrcoef(held, image)[0, 1] > 0.9
        require(close, f"the superpixels of image {i} hold another image")
