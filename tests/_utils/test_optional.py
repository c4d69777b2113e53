"""Missing libraries are named together with what installs them."""

import pytest

from sklearn_zoomout._utils.optional import explain_missing


def test_a_missing_library_is_named_with_its_extra():
    """The message says what needs it."""
    with (
        pytest.raises(ImportError, match=r'^Flying needs wings_.*\[birds\]"\.$'),
        explain_missing("Flying", "birds"),
    ):
        import wings_  # noqa: F401


def test_other_errors_pass():
    """Only imports are explained."""
    with pytest.raises(KeyError), explain_missing("Flying", "birds"):
        raise KeyError("a")
