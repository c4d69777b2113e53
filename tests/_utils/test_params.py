"""Errors of constructor parameters."""

import pytest

from sklearn_zoomout import Backbone


def test_a_class_has_its_public_name():
    """A user cannot find a private module in the documentation."""
    with pytest.raises(ValueError, match=r"'sklearn_zoomout\.backbones\.FineTuning'"):
        Backbone(fine_tune="yes")
