from ._display import ZoomImportanceDisplay as ZoomImportanceDisplay
from ._error_budget import ErrorBudget as ErrorBudget
from ._error_budget import error_budget as error_budget
from ._zoom_importance import ZoomImportance as ZoomImportance
from ._zoom_importance import zoom_importance as zoom_importance
