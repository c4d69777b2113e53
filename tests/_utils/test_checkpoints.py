"""The file of a checkpoint: read as it was written, or not at all."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from checkpoints import damage

torch = pytest.importorskip("torch")

from sklearn_zoomout._utils.checkpoints import (  # noqa: E402
    Checkpoint,
    Progress,
    arrays_of,
    put_arrays,
)
from sklearn_zoomout.exceptions import CheckpointWarning  # noqa: E402

ARRAYS = {
    "0/weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "0/step": np.float32(3) * np.ones(()),
    "empty": np.empty((0, 2), np.uint8),
}
FACTS = {"state": 2**127 + 1, "losses": [0.1, float("inf")], "name": "ä"}


def make(folder, name="net", depends_on=None, **options):
    """A checkpoint that is due at every step."""
    options = {"device": "cpu", "every": 1, **options}
    return Checkpoint(folder, name, depends_on or {"seed": 0}, **options)


def test_what_is_written_is_read(tmp_path):
    """Arrays in any order of memory, large numbers, and infinite ones."""
    assert make(tmp_path).load() is None
    make(tmp_path / "new").write(Progress(7, False, ARRAYS, FACTS))
    found = make(tmp_path / "new").load()
    assert (found.step, found.finished, found.facts) == (7, False, FACTS)
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def test_every_flipped_bit_is_noticed(tmp_path):
    """In the header, in the text and in the numbers; a part of a file is no file."""
    checkpoint = make(tmp_path)
    checkpoint.write(Progress(7, False, ARRAYS, FACTS))
    content = checkpoint.path.read_bytes()
    for at in range(len(content)):
        damage(checkpoint.path, at)
        with pytest.warns(CheckpointWarning, match="damaged"):
            assert checkpoint.load() is None
        checkpoint.path.write_bytes(content)
    for size in range(0, len(content), 7):
        checkpoint.path.write_bytes(content[:size])
        with pytest.warns(CheckpointWarning, match="net starts from its beginning"):
            assert checkpoint.load() is None


def test_the_name_is_a_digest_of_what_the_training_depends_on(tmp_path):
    """Equal values give the same file, others another."""
    values = {"units": (8,), "rate": 0.1, "data": np.arange(3), "none": None}
    path = make(tmp_path, depends_on=values).path
    assert path.name.startswith("net_") and path.suffix == ".safetensors"
    assert make(tmp_path, depends_on={**values, "units": [8]}).path == path
    for name, other in (("rate", 0.2), ("data", np.arange(4)), ("none", 0)):
        assert make(tmp_path, depends_on={**values, name: other}).path != path
    assert make(tmp_path, "other", values).path != path


def test_another_device_is_refused(tmp_path):
    """The numbers would round differently, but not on another GPU."""
    make(tmp_path, device="cuda:0").write(Progress(7, False, ARRAYS, FACTS))
    assert make(tmp_path, device="cuda:1").load().step == 7
    with pytest.raises(ValueError, match="device was cuda, now it is cpu. Bring"):
        make(tmp_path).load()


@pytest.mark.parametrize("fused", [False, True])
def test_an_optimizer_goes_on_to_the_last_bit(fused):
    """Also with weights that are not contiguous."""

    def start():
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=fused)

    def train(layer, optimizer, n):
        x = torch.linspace(-1, 1, 300).reshape(1, 3, 10, 10)
        for _ in range(n):
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()

    with torch.random.fork_rng(devices=[]):
        whole, optimizer = start()
        train(whole, optimizer, 5)
        part, optimizer = start()
        train(part, optimizer, 2)
        arrays = {name: array.copy() for name, array in arrays_of(optimizer).items()}
        resumed, optimizer = start()
    put_arrays(optimizer, arrays | {"other": np.ones(2)})
    train(resumed, optimizer, 3)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    finished = arrays_of(optimizer, finished=True)
    assert set(finished) == {"0/weight", "1/weight"}


WRITER = """
import sys
import numpy as np
from sklearn_zoomout._utils.checkpoints import Checkpoint, Progress
checkpoint = Checkpoint(sys.argv[1], "net", {"seed": 0}, device="cpu", every=1)
arrays = {"weight": np.zeros(10**6, np.float32)}
for step in range(10**6):
    arrays["weight"][:] = step
    checkpoint.write(Progress(step, False, arrays, {}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path):
    """Whenever it comes."""
    checkpoint, steps = make(tmp_path), []
    for trial in range(10):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
        while trial == 0 and not checkpoint.path.exists():
            time.sleep(0.01)
        time.sleep(2 + 0.013 * trial)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        found = checkpoint.load()
        assert (found.arrays["weight"] == found.step).all()
        steps.append(found.step)
    assert max(steps) > 0
