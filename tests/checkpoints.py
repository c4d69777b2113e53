"""Ctrl-C at a chosen step of a training, and what its checkpoints hold."""

import pytest
from skorch.callbacks import Callback

from sklearn_zoomout._utils import checkpoints


class InterruptAt(Callback):
    """Interrupt the training of a classifier at the end of a step.

    Parameters
    ----------
    step : int
        The step, counted from 1 in this process.
    """

    def __init__(self, step):
        self.step, self.n_steps = step, 0

    def on_batch_end(self, net, training=False, **kwargs):
        """Count the steps."""
        self.n_steps += training
        if training and self.n_steps == self.step:
            raise KeyboardInterrupt


def write_at_every_step(monkeypatch):
    """Let no checkpoint wait for time to pass."""
    monkeypatch.setattr(checkpoints, "_SECONDS", 0)
    monkeypatch.setattr(checkpoints, "_TIMES", 0)


def interrupt(fit, *args):
    """Call a fit that is interrupted."""
    with pytest.raises(KeyboardInterrupt):
        fit(*args)


def damage(path, at):
    """Flip a bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 16
    path.write_bytes(content)
