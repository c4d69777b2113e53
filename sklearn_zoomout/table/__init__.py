"""The feature table: samples are images, rows are superpixels, columns are features.

A `FeatureTable` is made by the feature levels and read by the classifier. Its values
are in memory, or in the files of a folder:

- `store_features` computes the features of images, a few images at a time, and appends
  them to the files (``_store``, ``_resume``, ``_append``);
- ``_layout`` describes the files;
- `open_features` maps the files into memory, where they are read when rows are used
  (``_open``, ``_stored_superpixels``).
"""

from ._block import Block
from ._check import check_table
from ._feature_table import FeatureTable
from ._open import open_features
from ._store import store_features

__all__ = ["Block", "FeatureTable", "check_table", "open_features", "store_features"]
