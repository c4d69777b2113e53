"""One progress bar for all steps of a training."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch.callbacks import Callback
from tqdm.auto import tqdm


class StepBar(Callback):
    """Show every step of the training, and its loss, on a bar of tqdm.

    Parameters
    ----------
    bar : tqdm
        The bar.
    """

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Move on by a step."""
        if training:
            loss = net.history[-1, "batches", -1, "train_loss"]
            self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            self.bar.update()


@contextmanager
def progress_bar(n_steps: int, verbose: int, done: int = 0) -> Iterator[Any]:
    """Open a progress bar, and close it at the end or after an error.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    verbose : int
        If 0, nothing is shown.
    done : int, default=0
        Number of steps that an earlier training has done.

    Yields
    ------
    tqdm or None
        None without a terminal or notebook, too. See `show_progress`.
    """
    shown = bool(verbose) and _is_watched()
    options = {"total": n_steps, "initial": done, "desc": "classifier", "unit": "step"}
    if not shown:
        yield None
        return
    with tqdm(**options) as bar:
        yield bar


@contextmanager
def report(what: str, history: Any, verbose: int) -> Iterator[None]:
    """Print a line at the end of a training, if there was no bar.

    Parameters
    ----------
    what : str
        What is trained.
    history : list of dict
        The epochs, filled by the training.
    verbose : int
        If 0, nothing is printed.

    Yields
    ------
    None
    """
    start = time.perf_counter()
    yield
    if verbose and not _is_watched():
        last = history[-1]
        names = [name for name in ("train_loss", "valid_loss") if name in last]
        losses = [f"{name} {last[name]:.3f}" for name in names]
        seconds = time.perf_counter() - start
        print(f"classifier: {what}, {', '.join(losses)}, {seconds:.1f} s")


def _is_watched() -> bool:
    """Tell whether a bar that moves can be seen: in a terminal or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
