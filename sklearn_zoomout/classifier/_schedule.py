"""How a classifier is trained by default: which network, how long, at what rate."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..table import FeatureTable

# hidden_units="auto": fewer rows than this are fitted by a linear softmax.
_ROWS_OF_A_NET, _AUTO_UNITS = 1000, (512,)
# One cycle: at least so many steps, and two passes, of which one is enough if it has
# many steps. Fewer steps lose accuracy, and more gain little.
_CYCLE_STEPS, _CYCLE_EPOCHS, _MANY_STEPS = 300, 2, 1000
# The same from the weights of an earlier fit. 60 steps are enough for 2 photographs
# added to 20. Where half of each scribble is added, they lose 3 points of mean IoU.
_WARM_STEPS = 150
# The constant rate of the paper: enough at 1e-4 on Stanford Background, both for 20 and
# for 572 images, and both for 500 and for 1,000 superpixels per image.
_STEPS, _EPOCHS, _ROWS_OF_AN_IMAGE = 1000, 4, 2000
# The rate rises during this share of the steps, from this share of its peak.
_RISE, _FIRST_RATE = 0.3, 0.04
# Multiplications of a step from which several threads are allowed. On two cores that
# other programs kept busy, two threads took 7 times as long as one for the steps of the
# default (5e7), 1.5 times at 1.5e9, and 1.25 times at 6e9.
_LARGE_STEP = 2e9


def choose_hidden_units(params: Mapping[str, Any], n_rows: int) -> tuple[int, ...]:
    """Return the widths of the hidden layers.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    n_rows : int
        Number of training superpixels.

    Returns
    -------
    tuple of int
    """
    if not isinstance(params["hidden_units"], str):
        return tuple(int(n) for n in params["hidden_units"])
    few = n_rows < _ROWS_OF_A_NET and not _asks_for_steps(params)
    return () if few else _AUTO_UNITS


def is_convex(
    params: Mapping[str, Any], units: Sequence[int], table: FeatureTable
) -> bool:
    """Tell whether the network is a linear softmax that a solver fits at once.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    units : sequence of int
        The widths of the hidden layers.
    table : FeatureTable
        The features. The solver copies the training rows, so that it is not used for
        a table in files.

    Returns
    -------
    bool
    """
    return not units and not table.in_files and not _asks_for_steps(params)


def _asks_for_steps(params: Mapping[str, Any]) -> bool:
    constant = params["schedule"] == "constant"
    return constant or params["max_epochs"] is not None or bool(params["callbacks"])


def count_epochs(
    params: Mapping[str, Any], n_rows: int, n_images: int, *, warm: bool = False
) -> int:
    """Return the number of passes over the training superpixels.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.
    n_rows, n_images : int
        Number of training superpixels, and of their images.
    warm : bool, default=False
        Whether the training begins with the weights of an earlier fit.

    Returns
    -------
    int
    """
    if params["max_epochs"] is not None:
        return params["max_epochs"]
    n_batches = math.ceil(n_rows / params["batch_size"])
    if params["schedule"] == "one_cycle":
        if warm:
            return math.ceil(_WARM_STEPS / n_batches)
        enough = 1 if n_batches >= _MANY_STEPS else _CYCLE_EPOCHS
        return max(enough, math.ceil(_CYCLE_STEPS / n_batches))
    enough = min(_EPOCHS, round(_ROWS_OF_AN_IMAGE * n_images / n_rows))
    return max(enough, math.ceil(_STEPS / n_batches))


def one_cycle(done: float) -> float:
    """Return the factor of the rate when a share of the training is done.

    It rises along a cosine to 1, and falls along a longer one to 0.

    Parameters
    ----------
    done : float
        The share, 0..1.

    Returns
    -------
    float
    """
    if done < _RISE:
        return 1 - (1 - _FIRST_RATE) * (1 + math.cos(math.pi * done / _RISE)) / 2
    return (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE))) / 2


def is_small_step(n_rows: int, widths: Sequence[int]) -> bool:
    """Tell whether one thread is enough for a step.

    Parameters
    ----------
    n_rows : int
        Number of rows of the step.
    widths : sequence of int
        Number of columns, widths of the hidden layers, and number of classes.

    Returns
    -------
    bool
    """
    n_weights = sum(a * b for a, b in zip(widths[:-1], widths[1:], strict=True))
    return n_rows * n_weights < _LARGE_STEP
