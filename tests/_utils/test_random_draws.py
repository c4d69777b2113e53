"""Random draws."""

import numpy as np

from sklearn_zoomout._utils.random_draws import draw_evenly


def test_items_are_drawn_in_rounds():
    """None is drawn a third time before all were drawn twice."""
    drawn = draw_evenly(10, 25, np.random.default_rng(0))
    for start in (0, 10):
        assert sorted(drawn[start : start + 10]) == list(range(10))
    assert len(set(drawn[20:])) == 5
