"""The feature table: samples are images, rows are superpixels, columns are features.

A `FeatureTable` is made by the feature levels and read by the classifier. Its values
are in memory, or in the files of a folder:

- `store_features` computes the features of images, a few images at a time, and appends
  them to the files (``_store``, ``_append``); it continues a folder (``_resume``) when
  it has computed again what is damaged (``_mend``);
- ``_layout`` describes the files, ``_checksums`` finds damage in them;
- `open_features` maps the files into memory, where they are read when rows are used
  (``_open``, ``_stored_superpixels``).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
