"""What a fitted pipeline decides by, and where it loses accuracy."""

from ._display import ZoomImportanceDisplay
from ._error_budget import ErrorBudget, error_budget
from ._zoom_importance import ZoomImportance, zoom_importance

__all__ = [
    "ErrorBudget",
    "ZoomImportance",
    "ZoomImportanceDisplay",
    "error_budget",
    "zoom_importance",
]
