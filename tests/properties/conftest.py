"""Settings of the properties: few examples, always the same.

The environment variable SKLEARN_ZOOMOUT_EXAMPLES is the number of examples of each
property, which are then drawn anew in every run.
"""

import os

from hypothesis import settings

_N_EXAMPLES = os.environ.get("SKLEARN_ZOOMOUT_EXAMPLES")
settings.register_profile(
    "zoomout",
    max_examples=int(_N_EXAMPLES or 25),
    deadline=None,
    derandomize=_N_EXAMPLES is None,
    database=None,
)
settings.load_profile("zoomout")
