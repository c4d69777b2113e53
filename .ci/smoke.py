"""A fit and a prediction by each network that comes with the installed package."""

import tempfile
from pathlib import Path

import numpy as np

import sklearn_zoomout
from sklearn_zoomout import load_model, save_model, zoomout_pipeline
from sklearn_zoomout.datasets import load_scribbled_photographs

data = load_scribbled_photographs()
for network in ("zoomnet", "zoomnet_large"):
    model = zoomout_pipeline(backbone=network, pixels=False, random_state=0)
    labels = model.fit(data.images, data.scribbles).predict(data.images)
    correct = [
        found[check >= 0] == check[check >= 0]
        for found, check in zip(labels, data.checks, strict=True)
    ]
    accuracy = float(np.concatenate(correct).mean())
    print(f"{network}: {accuracy:.1%} of the check strokes")
    assert accuracy > 0.7
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder, "model.zoomout"))
        loaded = load_model(Path(folder, "model.zoomout"))
    pairs = zip(loaded.predict(data.images), labels, strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)
print(f"sklearn_zoomout {sklearn_zoomout.__version__} of {sklearn_zoomout.__file__}")
