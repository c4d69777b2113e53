"""The script that trains ZoomNet runs on made-up photographs and random teachers."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
safetensors = pytest.importorskip("safetensors.torch")

from sklearn_zoomout.backbones import Backbone, load_network  # noqa: E402
from sklearn_zoomout.backbones._mobilenet_edgetpu import MobileNetEdgeTPU  # noqa: E402

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[2] / "tools" / "train_zoomnet.py"


@pytest.fixture(scope="module")
def materials(tmp_path_factory):
    """Return a folder of fifty small photographs and random weights of teachers."""
    folder = tmp_path_factory.mktemp("materials")
    rng = np.random.default_rng(0)
    for i in range(50):
        coarse = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((80, 60), Image.Resampling.BICUBIC)
        image.save(folder / f"{i:02d}.jpg")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teachers = {
            "mobilenet_v2_tf2": torchvision.models.mobilenet_v2(weights=None),
            "mobilenet_edgetpu_100": MobileNetEdgeTPU(),
        }
    for name, teacher in teachers.items():
        state = {k: t.contiguous() for k, t in teacher.state_dict().items()}
        safetensors.save_file(state, folder / f"{name}.safetensors")
    return folder


def train(materials, out, *options):
    """Run the script on crops of 40 pixels; return the finished process."""
    folders = ["--photos", materials, "--weights", materials, "--out", out]
    sizes = ["--size", "40", "--batch-size", "8", "--threads", "1"]
    return subprocess.run(
        [sys.executable, SCRIPT, *folders, *sizes, *options],
        env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])},
        capture_output=True,
        text=True,
    )


def read_curve(out):
    with (out / "curve.csv").open() as file:
        return [
            {key: float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("name", ["zoomnet", "zoomnet_large"])
def test_training_resumes_and_writes_weights_that_load(name, materials, tmp_path):
    """Two runs of an epoch write a curve, a checkpoint and weights with metadata."""
    for epochs, options in (("1", []), ("2", ["--resume"])):
        options = ["--network", name, *options]
        done = train(materials, tmp_path, "--epochs", epochs, *options)
        assert done.returncode == 0, done.stderr
    steps = [row["step"] for row in read_curve(tmp_path)]
    assert steps == [0, 6, 12]
    assert "% unexplained" not in done.stdout  # pruned once only
    path = tmp_path / f"{name}.safetensors"
    assert not list(tmp_path.glob("*.part"))
    network = load_network(Backbone(name, path))
    assert network.sha256 in done.stdout
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert (metadata["steps"], metadata["photographs"]) == ("12", "48")


def test_a_run_is_determined_by_its_seed(materials, tmp_path):
    """Runs of one seed have nearly the same errors, and runs of two seeds do not."""
    errors = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        done = train(materials, out, "--epochs", "0.5", "--seed", str(seed))
        assert done.returncode == 0, done.stderr
        errors.append(read_curve(out)[-1]["training loss"])
    assert errors[0] == pytest.approx(errors[1], rel=1e-2)
    assert errors[0] != pytest.approx(errors[2], rel=1e-2)


def test_a_folder_without_photographs_is_refused(materials, tmp_path):
    """The script fails before it writes or computes anything."""
    empty = tmp_path / "empty"
    empty.mkdir()
    folders = ["--photos", empty, "--weights", materials, "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *folders], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "expected at least 50 *.jpg" in done.stderr
