"""Which checks of which estimators are slow."""

from pathlib import Path

import pytest

# They start processes, each of which imports all libraries.
OF_PROCESSES = ("check_backend_loky", "check_backend_multiprocessing")
# Estimators whose fit takes long, or that are much like others, and the checks of them
# that are run each time.
HEAVY = (
    *("FineTuned", "LocalConvnet", "PixelFusion", "Dictionary", "Preset"),
    *("Region", "Global", "Superpixel", "ZoomoutUnion", "Smoothing", "Islands"),
    *("LearningSegmenter", "Linear", "ClassifierWithout", "Features", "Labeler"),
)
ALWAYS = (
    "check_clone_keeps_params",
    "check_init_only_stores",
    "check_params_can_be_set",
    "check_tags",
    "check_fit_keeps_params",
    "check_methods_before_fit",
    "check_refit_forgets",
    "check_output_shapes",
    "check_input_unchanged",
    "check_one_array_is_refused",
    "check_save_model",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark tests of checks that start processes, and most of heavy estimators."""
    for item in items:
        params = getattr(item, "callspec", None) and item.callspec.params
        is_here = item.path.parent == Path(__file__).parent
        if not params or "check" not in params or not is_here:
            continue
        check = params["check"].__name__
        is_heavy = item.callspec.id.startswith(HEAVY) and check not in ALWAYS
        if check in OF_PROCESSES or is_heavy:
            item.add_marker(pytest.mark.slow)
