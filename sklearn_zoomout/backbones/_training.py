"""How networks are trained: settings, and the one loop that trains them."""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from .._utils.checkpoints import Checkpoint, Progress, arrays_of, put_arrays
from .._utils.frozen_params import FrozenParams
from .._utils.progress import show_progress

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

# A training of n steps writes a checkpoint after every n divided by this.
_CHECKPOINTS = 20


@dataclass(frozen=True, repr=False)
class Training(FrozenParams):
    """How the small convnet of `LocalConvnetFeatures` is trained.

    Parameters
    ----------
    max_steps : int or None, default=None
        Training steps of a network. None shows every labeled superpixel once, in at
        least 200 and at most 2,000 steps.
    batch_size : int, default=64
        Superpixels of a step.
    learning_rate : float, default=1e-3
        First step size of AdamW. It falls to 0.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    class_weight : "balanced", float or None, default=None
        The weight of a class in the log-loss. None is 1. "balanced" is one over the
        frequency of the class among the training superpixels, as in equation (2). A
        number a in 0..1 is one over the frequency to the power a.
    checkpoint : str, path or None, default=None
        A folder of checkpoints, from which the same fit goes on after an interruption;
        see `ZoomoutClassifier`. A checkpoint is written after every
        twentieth of the steps, and every 30 seconds.

    Raises
    ------
    InvalidParameterError
        A ``ValueError`` and ``TypeError``, if a parameter is out of its range.

    Examples
    --------
    >>> from sklearn_zoomout import LocalConvnetFeatures, Training
    >>> LocalConvnetFeatures(training=Training(max_steps=500))
    LocalConvnetFeatures(training=Training(max_steps=500))
    """

    max_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    class_weight: str | float | None = None
    _: KW_ONLY
    # Two trainings that differ in their files only train the same.
    checkpoint: str | os.PathLike | None = field(default=None, compare=False)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_steps": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "class_weight": [
            StrOptions({"balanced"}),
            Interval(Real, 0, 1, closed="both"),
            None,
        ],
        "checkpoint": [str, os.PathLike, None],
    }

    def open_checkpoint(
        self,
        name: str,
        depends_on: "Mapping[str, Any]",
        *,
        n_steps: int,
        device: str,
        verbose: int = 0,
    ) -> Checkpoint | None:
        """Return the checkpoint of a training with these settings.

        Parameters
        ----------
        name : str
            What is trained.
        depends_on : dict
            All that the training depends on besides these settings.
        n_steps : int
            Number of its steps.
        device : str
            Where torch trains.
        verbose : int, default=0
            If positive, print where the training goes on.

        Returns
        -------
        Checkpoint or None
            None if there is no folder for it.
        """
        if self.checkpoint is None:
            return None
        settings = self.replace(checkpoint=None).get_params()
        return Checkpoint(
            self.checkpoint,
            name,
            {"settings": settings, **depends_on},
            device=device,
            every=math.ceil(n_steps / _CHECKPOINTS),
            verbose=verbose,
        )


@dataclass(frozen=True, repr=False)
class FineTuning(Training):
    """How a backbone is trained on the masks before it describes superpixels.

    It is the parameter ``fine_tune`` of a `Backbone`. In ``fit``, the backbone is
    trained together with a linear classifier of its feature maps of every resolution,
    averaged over superpixels. The classifier is thrown away, and the levels use the
    trained backbone. All levels that are fitted on the same superpixels with an equal
    `Backbone` share one trained network. Fully connected layers (fc7 of VGG) keep their
    weights.

    Parameters
    ----------
    max_steps : int or None, default=None
        Training steps. None shows 100 times the square root of the number of labeled
        images: each of 20 images about 22 times, each of 500 about 4 times.
    batch_size : int, default=4
        Images of a step.
    learning_rate : float, default=1e-4
        First step size of AdamW. It falls to 0. The rate of the linear classifier is
        ten times as large.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    class_weight : "balanced", float or None, default=None
        The weight of a class in the log-loss. None is 1. "balanced" is one over the
        frequency of the class among the training superpixels, as in equation (2). A
        number a in 0..1 is one over the frequency to the power a.
    input_size : int, default=320
        Longer side in pixels of the images of a step, multiplied by a random factor of
        3/4 to 4/3. Larger images are cropped. It may differ from the ``input_size`` of
        the levels.
    checkpoint : str, path or None, default=None
        A folder of checkpoints, from which the same fit goes on after an interruption;
        see `ZoomoutClassifier`. A checkpoint is written after every
        twentieth of the steps, and every 30 seconds. It holds three times the weights,
        and at the end the weights alone.

    Raises
    ------
    InvalidParameterError
        A ``ValueError`` and ``TypeError``, if a parameter is out of its range.

    Notes
    -----
    The network has seen the labels of its training images, so that their features are
    better than those of new images. A score on training images is therefore too high:
    the ``valid_loss`` of `ZoomoutClassifier`, the strength of `GraphSmoothing`.
    Cross-validation of a whole pipeline is not affected, because every fold trains a
    network of its own.

    Fine-tuning can lower the accuracy where labels are few or the classes are many
    kinds of objects. Compare by cross-validation before you keep it.

    Half of the images are mirrored at random. Batch normalization keeps its moments,
    and there is no dropout, since batches are small and steps are few.

    On a GPU the sums of gradients have no fixed order, so the weights of two fits
    differ in their last digits.

    Examples
    --------
    >>> from sklearn_zoomout import (
    ...     Backbone, ConvnetSuperpixelFeatures, FineTuning, SuperpixelSegmenter
    ... )
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> fine_tune = FineTuning(max_steps=5, input_size=160)
    >>> maps = ConvnetSuperpixelFeatures(
    ...     Backbone("zoomnet", fine_tune=fine_tune), input_size=160
    ... )
    >>> maps.fit_transform(superpixels, masks)
    FeatureTable(4 images, ... superpixels, 328 columns; maps: 328)
    """

    batch_size: int = 4
    learning_rate: float = 1e-4
    input_size: int = 320

    # Raised when training changes, for what `memory` keeps.
    cache_version: ClassVar[int] = 3
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Training._parameter_constraints,
        "input_size": [Interval(Integral, 1, None, closed="left")],
    }


def train(
    optimizer: "torch.optim.Optimizer",
    batches: "Sequence[Any] | NDArray[Any]",
    loss_of: Callable[[Any], "torch.Tensor"],
    *,
    decay: Callable[[float], float],
    name: str,
    verbose: int = 0,
    checkpoint: Checkpoint | None = None,
    rng: "np.random.Generator | None" = None,
) -> None:
    """Train until the batches are used up.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Holds the weights, with their first step sizes.
    batches : sequence
        What ``loss_of`` is called with at each step.
    loss_of : callable
        Returns the loss of a batch, a tensor of shape ().
    decay : callable
        Factor of the step size for the share of the training that is done, 0..1.
    name : str
        What is trained, for errors and the progress bar.
    verbose : int, default=0
        Show a progress bar if positive.
    checkpoint : Checkpoint or None, default=None
        From where to go on, and what to write meanwhile.
    rng : numpy.random.Generator or None, default=None
        What ``loss_of`` draws from.

    Raises
    ------
    ValueError
        If the loss or a weight becomes NaN or infinite, or the weights of a group get
        no gradient.
    """
    n_steps = len(batches)
    rates = [group["lr"] for group in optimizer.param_groups]
    lower = f"lower learning_rate, which is {rates[0]:g}"
    first = 0 if checkpoint is None else _go_on(checkpoint, optimizer, rng)
    steps = range(first, n_steps)
    bar = show_progress(
        steps, name, n_steps, quiet=not verbose, unit="step", done=first
    )
    for step in bar:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * decay(step / n_steps)
        optimizer.zero_grad()
        loss = loss_of(batches[step])
        value = loss.item()
        if not math.isfinite(value):
            cure = lower if step else "its input or maps are not finite"
            raise ValueError(
                f"{name}: the training loss became {value} in step {step + 1} of "
                f"{n_steps}; {cure}."
            )
        if verbose:
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
        loss.backward()
        if step == 0:
            _check_gradients(optimizer, name)
        optimizer.step()
        if checkpoint is not None and checkpoint.is_due(step + 1):
            _write(checkpoint, optimizer, rng, step + 1)
    if not all(bool(w.isfinite().all()) for w in _weights(optimizer)):
        raise ValueError(
            f"{name}: the weights became NaN or infinite in step {n_steps} of "
            f"{n_steps}; {lower}."
        )
    if checkpoint is not None and first < n_steps:
        _write(checkpoint, optimizer, rng, n_steps, finished=True)


def _go_on(
    checkpoint: Checkpoint,
    optimizer: "torch.optim.Optimizer",
    rng: "np.random.Generator | None",
) -> int:
    """Set weights and generator as they were; return the number of steps done."""
    found = checkpoint.load()
    if found is None:
        return 0
    put_arrays(optimizer, found.arrays)
    if rng is not None:
        rng.bit_generator.state = found.facts["rng"]
    return found.step


def _write(
    checkpoint: Checkpoint,
    optimizer: "torch.optim.Optimizer",
    rng: "np.random.Generator | None",
    step: int,
    *,
    finished: bool = False,
) -> None:
    arrays = arrays_of(optimizer, finished=finished)
    facts = {} if rng is None else {"rng": rng.bit_generator.state}
    checkpoint.write(Progress(step, finished, arrays, facts))


def _weights(optimizer: "torch.optim.Optimizer") -> Iterable["torch.Tensor"]:
    return (w for group in optimizer.param_groups for w in group["params"])


def _check_gradients(optimizer: "torch.optim.Optimizer", name: str) -> None:
    for group in optimizer.param_groups:
        if all(weight.grad is None for weight in group["params"]):
            raise ValueError(
                f"{name}: expected gradients of the weights, got none; the network has "
                "no weights, or computes under torch.no_grad()."
            )
