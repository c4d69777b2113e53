"""Files from which an interrupted training goes on."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..exceptions import CheckpointWarning
from .digests import digest_array, digest_values
from .writing import write_whole

if TYPE_CHECKING:
    import torch

# The layout of the file. Raise it when the layout or a training changes.
_FORMAT = 1
# A training loses at most so much time, or so many times what it takes to write.
_SECONDS, _TIMES = 30.0, 10
# Another version of one of these rounds differently, or trains in another order.
_PACKAGES = ("numpy", "torch", "skorch")


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes
    ----------
    step : int
        Number of steps that are done.
    finished : bool
        Whether it is over.
    arrays : dict of str to ndarray
        Weights and, before the end, the state of the optimizer and of generators.
    facts : dict
        What else the training needs, as JSON holds it.
    """

    step: int
    finished: bool
    arrays: dict[str, NDArray[Any]]
    facts: dict[str, Any]


class Checkpoint:
    """The file of one training in a folder of checkpoints.

    Its name is a digest of all that the training depends on, so that candidates and
    folds of a search have files of their own, and find them again.

    Parameters
    ----------
    folder : str or path
        The folder. It is created when a checkpoint is written.
    name : str
        What is trained, for the name of the file and for messages.
    depends_on : dict
        The parameters and the data, or digests of them.
    device : str
        Where torch trains. It is compared, and not part of the name.
    every : int
        Number of steps after which a checkpoint is due.
    verbose : int, default=0
        If positive, print where the training goes on.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        name: str,
        depends_on: Mapping[str, Any],
        *,
        device: str,
        every: int,
        verbose: int = 0,
    ) -> None:
        digest = digest_values({"format": _FORMAT, **depends_on})
        file = f"{name.replace(' ', '_')}_{digest}.safetensors"
        self.path = Path(folder).expanduser() / file
        self._name, self._every, self._verbose = name, every, verbose
        self._conditions = {
            "sklearn-zoomout": __version__,
            **{package: version(package) for package in _PACKAGES},
            "device": device.partition(":")[0],
        }
        self._written, self._cost = time.monotonic(), 0.0

    def load(self) -> Progress | None:
        """Read the file.

        Returns
        -------
        Progress or None
            None if there is no file, or it is damaged.

        Raises
        ------
        ValueError
            If it was written by other versions or on another device, so that the
            training would not come to the same weights.

        Warns
        -----
        CheckpointWarning
            If it is damaged.
        """
        if not self.path.exists():
            return None
        try:
            content, arrays = _read(self.path)
        except _DamagedError as error:
            warnings.warn(
                f"{self.path}: damaged ({error}); the training of the {self._name} "
                "starts from its beginning.",
                CheckpointWarning,
                stacklevel=2,
            )
            return None
        there = content.pop("conditions")
        differing = [
            f"{key} was {there.get(key)}, now it is {value}"
            for key, value in self._conditions.items()
            if there.get(key) != value
        ]
        if differing:
            raise ValueError(
                f"{self.path}: the {self._name} was trained under other conditions: "
                f"{'; '.join(differing)}. Bring them back to go on, or delete the file "
                "to train from the beginning."
            )
        found = Progress(arrays=arrays, **content)
        if self._verbose:
            done = "is trained" if found.finished else f"goes on at step {found.step}"
            print(f"{self._name}: {done}, from {self.path}")
        return found

    def is_due(self, step: int) -> bool:
        """Tell whether to write a checkpoint after a step, counted from 1.

        Writing takes at most a tenth of the time.
        """
        age = time.monotonic() - self._written
        due = age >= _SECONDS or step % self._every == 0
        return due and age >= _TIMES * self._cost

    def write(self, progress: Progress) -> None:
        """Replace the file.

        Parameters
        ----------
        progress : Progress
            What to write.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        from safetensors.numpy import save

        start = time.monotonic()
        content = {
            "step": progress.step,
            "finished": progress.finished,
            "facts": progress.facts,
            "conditions": self._conditions,
        }
        text = json.dumps(content)
        arrays = {
            name: np.ascontiguousarray(array).reshape(array.shape)
            for name, array in progress.arrays.items()
        }
        metadata = {"content": text, "sha256": _digest(text, arrays)}
        with write_whole(self.path, durable=True) as file:
            file.write(save(arrays, metadata))
        self._written = time.monotonic()
        self._cost = self._written - start


class _DamagedError(ValueError):
    """What is wrong with a file."""


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a file, and compare it with its digest."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError) as error:
        raise _DamagedError(str(error)) from None
    text = metadata.get("content", "")
    if metadata.get("sha256") != _digest(text, arrays):
        raise _DamagedError("its SHA-256 is not the one that was stored with it")
    return json.loads(text), arrays


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    named = [f"{name} {digest_array(arrays[name])}" for name in sorted(arrays)]
    return hashlib.sha256("\n".join([text, *named]).encode()).hexdigest()


def check_checkpoint(folder: Any, random_state: Any) -> None:
    """Refuse a parameter ``checkpoint`` from which no fit could go on.

    Parameters
    ----------
    folder : str, path or None
        The value of the parameter. None is no checkpoint.
    random_state : int, RandomState or None
        The seed of the training.

    Raises
    ------
    ValueError
        If the folder is a file or cannot be written, or there is no seed.
    """
    if folder is None:
        return
    path = Path(os.fspath(folder)).expanduser()
    there = next(part for part in (path, *path.parents, Path(".")) if part.exists())
    if not os.fspath(folder) or not there.is_dir() or not os.access(there, os.W_OK):
        raise ValueError(
            f"checkpoint: expected a folder, got {os.fspath(folder)!r}; name a folder "
            "that can be written; it may be missing."
        )
    if random_state is None:
        raise ValueError(
            "checkpoint: expected a random_state, got None, with which no two fits are "
            "the same, so that none can go on where another stopped; pass an integer."
        )


def arrays_of(
    optimizer: "torch.optim.Optimizer", *, finished: bool = False
) -> dict[str, NDArray[Any]]:
    """Return the weights that an optimizer trains, and its own state.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its state consists of tensors.
    finished : bool, default=False
        Whether to leave out its state.

    Returns
    -------
    dict of str to ndarray
    """
    arrays = {}
    for i, weight in enumerate(_weights_of(optimizer)):
        state = {} if finished else optimizer.state[weight]
        for name, value in {"weight": weight, **state}.items():
            arrays[f"{i}/{name}"] = value.detach().cpu().numpy()
    return arrays


def put_arrays(
    optimizer: "torch.optim.Optimizer", arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Set what `arrays_of` returned.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        One of the same weights.
    arrays : mapping of str to ndarray
        The arrays. Others than those of the optimizer are left out.
    """
    import torch

    weights = list(_weights_of(optimizer))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, array in arrays.items():
        index, _, name = key.partition("/")
        if not index.isdecimal():
            continue
        weight, value = weights[int(index)], torch.from_numpy(array)
        if name == "weight":
            with torch.no_grad():
                weight.copy_(value)
            continue
        if value.shape == weight.shape:  # the same layout in memory, for the last bit
            value = torch.zeros_like(weight, requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _weights_of(optimizer: "torch.optim.Optimizer") -> Iterator["torch.Tensor"]:
    return (weight for group in optimizer.param_groups for weight in group["params"])
