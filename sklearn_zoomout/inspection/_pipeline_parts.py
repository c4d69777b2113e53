"""The two parts of a fitted pipeline: the steps of the table, and the classifier."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def split_pipeline(model: Any, method: str) -> tuple[Pipeline, Any]:
    """Return the steps of a fitted pipeline that make the table, and its last step.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        The model.
    method : str
        A method that the last step must have.

    Returns
    -------
    features : sklearn.pipeline.Pipeline
        All steps but the last.
    classifier : estimator
        The last step.

    Raises
    ------
    TypeError
        If the model is not such a pipeline.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(model, Pipeline):
        hint = ""
        if hasattr(model, "best_estimator_"):
            hint = "; pass its best_estimator_"
        elif hasattr(model, "refit"):  # a search
            hint = "; fit it first and pass its best_estimator_"
        raise TypeError(
            "model: expected a fitted sklearn.pipeline.Pipeline, such as one of "
            f"zoomout_pipeline, got {type(model).__name__}{hint}."
        )
    check_is_fitted(model)
    if len(model) < 2 or not hasattr(model[-1], method):
        raise TypeError(
            f"model: expected steps that make a FeatureTable and a last step with "
            f"{method}, got {[type(step).__name__ for _, step in model.steps]}; use "
            "ZoomoutClassifier as the last step, without an estimator or with one "
            "that has predict_proba."
        )
    return model[:-1], model[-1]
