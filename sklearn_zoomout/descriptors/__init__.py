"""Hand-crafted descriptors (section 4.2.1): pure functions of arrays.

Every descriptor turns pixels, or points of a grid, into codes: a color bin, a texton,
a visual word. A region of any shape is then described by the histograms of the codes
that it holds, so all levels share the work done per pixel.
"""

from ._color import color_codes, color_features, color_names, rgb_to_lab
from ._location import location_features, location_names
from ._patches import cut_patches
from ._sift import dense_sift, image_sift
from ._texture import (
    assign_textons,
    filter_responses,
    fit_textons,
    texture_features,
    texture_names,
)
from ._words import (
    assign_words,
    fit_words,
    points_of_regions,
    word_features,
    word_names,
)

__all__ = [
    "assign_textons",
    "assign_words",
    "color_codes",
    "color_features",
    "color_names",
    "cut_patches",
    "dense_sift",
    "filter_responses",
    "fit_textons",
    "fit_words",
    "image_sift",
    "location_features",
    "location_names",
    "points_of_regions",
    "rgb_to_lab",
    "texture_features",
    "texture_names",
    "word_features",
    "word_names",
]
