"""The order of the examples in the gallery: first what most people need."""

LESSONS = [
    "plot_scribbles.py",
    "plot_whole_masks.py",
    "plot_grid_search.py",
    "plot_zoomout_levels.py",
    "plot_zoom_importance.py",
    "plot_asymmetric_loss.py",
    "plot_own_features.py",
]


def by_lesson(filename):
    """Return the position of an example, which must be listed here."""
    return LESSONS.index(str(filename))
