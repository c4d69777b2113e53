"""Ctrl-C at a chosen call of some functions."""

from importlib import import_module

# Functions that fits call: "module:attribute", or "module:class.method".
POINTS = [
    "superpixels._segmenter:superpixel_areas",
    "superpixels._segmenter:SuperpixelSegmenter._segment",
    "features._base:RowCollector.put",
    "features._base:RowCollector.table",
    "features._local:shared_dictionary",
    "features._local:LocalFeatures.column_names",
    "features._local_convnet:LocalConvnetFeatures._label",
    "features._local_convnet:LocalConvnetFeatures._train",
    "features.convnet._level:load_shared_network",
    "features.convnet._level:ConvnetLevel.column_names",
    "features.convnet._level:ConvnetLevel.describe",
    "classifier._classifier:label_rows",
    "classifier._classifier:column_moments",
    "classifier._fit_net:make_net",
    "classifier._fit_net:tidy",
    "postprocessing._base:clone_with_classes",
    "postprocessing._base:attributes_of",
    "postprocessing._smoothing:mean_colors",
    "postprocessing._islands:find_islands",
    "postprocessing._pixel_fusion:choose_filters",
    "postprocessing._pixel_fusion:draw_pixels",
    "postprocessing._pixel_fusion:fit_forest",
    "postprocessing._pixel_fusion:attributes_of",
]


class Interruption:
    """Raises KeyboardInterrupt at a call of the functions of `POINTS`, and counts them.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Puts the functions back after the test.
    """

    def __init__(self, monkeypatch):
        self.calls, self.at = [], None
        for point in POINTS:
            module, _, name = point.partition(":")
            owner = import_module(f"sklearn_zoomout.{module}")
            *classes, name = name.split(".")
            for part in classes:
                owner = getattr(owner, part)
            function = getattr(owner, name)
            monkeypatch.setattr(owner, name, self._counted(point, function))

    def _counted(self, point, function):
        def counted(*args, **kwargs):
            self.calls.append(point)
            if len(self.calls) - 1 == self.at:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return counted

    def places_of(self, fit):
        """Run a fit, and return the first and the last call of every function."""
        self.calls, self.at = [], None
        fit()
        seen = self.calls
        last = {point: i for i, point in enumerate(seen)}
        return sorted({*last.values(), *(seen.index(point) for point in last)})

    def interrupt(self, fit, at):
        """Run a fit that is interrupted at a call."""
        self.calls, self.at = [], at
        try:
            fit()
        except KeyboardInterrupt:
            return
        finally:
            self.at = None
        raise AssertionError(f"there was no call {at}")
