"""Checks within scikit-learn's pipelines, unions, searches and settings."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from ..features import RegionFeatures, ZoomoutUnion
from ..metrics import mean_iou_scorer
from ._comparing import (
    ROUNDING,
    errors_fail,
    fitted,
    fitted_outputs,
    outputs,
    per_image,
    require,
    require_same,
    skip,
)
from ._given import Given, MeanColor, make_level


def _labels(model: Any, given: Given) -> list[Any]:
    return per_image(model.predict(given.images))


def check_pipeline(estimator: Any, given: Given) -> None:
    """In a Pipeline from images to label maps it does what it does alone."""
    model = given.pipeline_around(clone(estimator))
    with errors_fail("it fails in a Pipeline"):
        model.fit(given.images, given.y)
        labels = _labels(model, given)
    shapes = [image.shape[:2] for image in given.images]
    found = [one.shape for one in labels]
    require(found == shapes, "a Pipeline of it predicts maps of other shapes")
    alone = outputs(fitted(estimator, given), given.X)
    X = given.images
    for name, step in model.steps:
        if name == "checked":
            break
        X = step.transform(X)
    message = "in a Pipeline it learns something else than alone"
    require_same(outputs(model["checked"], X), alone, message, **ROUNDING)


def check_step_is_changed_by_set_params(estimator: Any, given: Given) -> None:
    """A Pipeline sets its parameters by their names."""
    model = given.pipeline_around(clone(estimator))
    for name, value in estimator.get_params(deep=False).items():
        mark = object()
        with errors_fail(f"a Pipeline cannot set {name}"):
            model.set_params(**{f"checked__{name}": mark})
        got = model.get_params()[f"checked__{name}"]
        require(got is mark, f"a Pipeline cannot set {name}")
        model.set_params(**{f"checked__{name}": value})


def check_clone_of_pipeline(estimator: Any, given: Given) -> None:
    """A clone of a fitted Pipeline learns the same."""
    model = given.pipeline_around(clone(estimator)).fit(given.images, given.y)
    again = clone(model).fit(given.images, given.y)
    message = "a clone of a Pipeline labels otherwise"
    require_same(_labels(again, given), _labels(model, given), message)


def check_cross_val_score(estimator: Any, given: Given) -> None:
    """cross_val_score splits images and masks, and scores every fold."""
    model = given.pipeline_around(clone(estimator))
    with errors_fail("cross_val_score fails"):
        scores = cross_val_score(
            model,
            given.images,
            given.y,
            cv=2,
            scoring=mean_iou_scorer,
            error_score="raise",
        )
    right = scores.shape == (2,) and np.isfinite(scores).all()
    require(right, f"cross_val_score returns {scores}")


def check_cross_val_predict(estimator: Any, given: Given) -> None:
    """cross_val_predict returns a label map for every image, out of fold."""
    model = given.pipeline_around(clone(estimator))
    with errors_fail("cross_val_predict fails"):
        found = cross_val_predict(model, given.images, given.y, cv=KFold(2))
    half = (len(given.images) + 1) // 2
    held_out = clone(model).fit(given.images[half:], given.y[half:])
    expected = per_image(held_out.predict(given.images[:half]))
    message = "cross_val_predict differs from a fit to the other images"
    require_same(per_image(found)[:half], expected, message, **ROUNDING)


def check_grid_search(estimator: Any, given: Given) -> None:
    """GridSearchCV sets its parameters, and fits the best of them to all images."""
    model = given.pipeline_around(clone(estimator))
    params = estimator.get_params(deep=False)
    plain = [name for name, value in params.items() if not hasattr(value, "get_params")]
    grid = {f"checked__{name}": [params[name]] for name in plain[:1]}
    search = GridSearchCV(
        model, grid, scoring=mean_iou_scorer, cv=2, error_score="raise"
    )
    with errors_fail("GridSearchCV fails"):
        search.fit(given.images, given.y)
        found = _labels(search, given)
    expected = _labels(clone(model).fit(given.images, given.y), given)
    message = "GridSearchCV of its own parameters labels otherwise"
    require_same(found, expected, message)


def _check_union(estimator: Any, given: Given, union: Any) -> None:
    """Fail unless a union puts the columns of two levels side by side."""
    name = type(union).__name__
    with errors_fail(f"a {name} fails"):
        table = union.fit(given.X, given.y).transform(given.X)
    alone = fitted(estimator, given).transform(given.X)
    other = clone(union.transformer_list[1][1]).fit(given.X, given.y)
    n = alone.n_columns
    expected = n + other.transform(given.X).n_columns
    message = f"a {name} has {table.n_columns} columns, not {expected}"
    require(table.n_columns == expected, message)
    rows = table.to_numpy()[:, :n]
    message = f"a {name} changes its columns"
    require_same([rows], [alone.to_numpy()], message, **ROUNDING)


def _other_level(estimator: Any, given: Given) -> Any:
    """Return a level that takes the same input."""
    return MeanColor() if given.kind.input == "superpixels" else clone(estimator)


def check_feature_union(estimator: Any, given: Given) -> None:
    """A FeatureUnion puts its columns beside those of another level."""
    levels = [("checked", clone(estimator)), ("other", _other_level(estimator, given))]
    _check_union(estimator, given, FeatureUnion(levels))


def check_zoomout_union(estimator: Any, given: Given) -> None:
    """A ZoomoutUnion, which works image by image, does the same."""
    if not isinstance(estimator, RegionFeatures):
        skip("a ZoomoutUnion takes subclasses of RegionFeatures")
    levels = [("checked", clone(estimator)), ("other", MeanColor())]
    _check_union(estimator, given, ZoomoutUnion(levels))


def check_frozen(estimator: Any, given: Given) -> None:
    """A FrozenEstimator of it is not fitted again, and does the same."""
    learned = fitted(estimator, given)
    expected = outputs(learned, given.X)
    frozen = FrozenEstimator(learned)
    frozen.fit(*given.take(range(len(given.images) - 1)))
    message = "a FrozenEstimator does something else"
    require_same(outputs(frozen, given.X), expected, message)


def check_nested_pipeline(estimator: Any, given: Given) -> None:
    """A Pipeline of it is a step like it."""
    nested = Pipeline([("checked", clone(estimator))])
    with errors_fail("a Pipeline of it alone fails"):
        found = fitted_outputs(nested, given.X, given.y)
    expected = fitted_outputs(estimator, given.X, given.y)
    require_same(found, expected, "a Pipeline of it alone does something else")


def check_metadata_routing(estimator: Any, given: Given) -> None:
    """With metadata routing switched on, it does the same."""
    expected = fitted_outputs(estimator, given.X, given.y)
    with (
        sklearn.config_context(enable_metadata_routing=True),
        errors_fail("with metadata routing it fails"),
    ):
        estimator.get_metadata_routing()
        found = fitted_outputs(estimator, given.X, given.y)
        model = given.pipeline_around(clone(estimator))
        model.fit(given.images, given.y).score(given.images, given.y)
    require_same(found, expected, "metadata routing changes the output")


def check_pandas_output(estimator: Any, given: Given) -> None:
    """With ``set_config(transform_output="pandas")`` pipelines label the same."""
    if find_spec("pandas") is None:
        skip("pandas is not installed")
    model = given.pipeline_around(clone(estimator))
    expected = _labels(clone(model).fit(given.images, given.y), given)
    with (
        sklearn.config_context(transform_output="pandas"),
        errors_fail("with transform_output='pandas' it fails"),
    ):
        found = _labels(clone(model).fit(given.images, given.y), given)
    require_same(found, expected, "transform_output='pandas' changes the labels")


def check_set_output(estimator: Any, given: Given) -> None:
    """set_output, if it has one, does not break its outputs."""
    if not hasattr(estimator, "set_output"):
        skip("it has no set_output")
    if find_spec("pandas") is None:
        skip("pandas is not installed")
    changed = clone(estimator)
    try:
        changed.set_output(transform="pandas")
    except ValueError:
        skip("a step of it refuses set_output")
    with errors_fail("after set_output(transform='pandas') it fails"):
        found = fitted_outputs(changed, given.X, given.y)
    expected = fitted_outputs(estimator, given.X, given.y)
    require_same(found, expected, "set_output changes the values")


def check_input_of_pandas(estimator: Any, given: Given) -> None:
    """A frame that scikit-learn makes of a table is taken like the table."""
    if find_spec("pandas") is None:
        skip("pandas is not installed")
    superpixels = given.X.superpixels
    with sklearn.config_context(transform_output="pandas"):
        frame = make_level().fit_transform(superpixels)
    if not hasattr(frame, "iloc"):
        skip("this scikit-learn makes no frame of a table")
    with errors_fail("a pandas frame of a table is refused"):
        found = fitted_outputs(estimator, frame, given.y)
    expected = fitted_outputs(estimator, given.X, given.y)
    require_same(found, expected, "a pandas frame of a table gives something else")


def check_tags_stay(estimator: Any, given: Given) -> None:
    """Tags do not change by a fit, but for ``requires_fit``."""
    before, after = get_tags(estimator), get_tags(fitted(estimator, given))
    before.requires_fit = after.requires_fit
    require(before == after, "its tags change in fit")
