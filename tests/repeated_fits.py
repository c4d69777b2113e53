"""Fits that are repeated in a process of their own, which prints digests.

    python tests/repeated_fits.py SEED N_JOBS

SEED seeds the global generators, which no fit may use.
"""

import hashlib
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    FineTuning,
    GlobalFeatures,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    Training,
    ZoomoutClassifier,
    save_model,
    zoomout_pipeline,
)
from sklearn_zoomout.datasets import make_scenes

COMMON = {"n_segments": 40, "max_epochs": 2, "random_state": 0}


def make_models(n_jobs=None):
    """Return a small pipeline of every kind by its name."""
    jobs = {"n_jobs": n_jobs}
    fine_tuned = Backbone("zoomnet", fine_tune=FineTuning(max_steps=2, input_size=96))
    training = Training(max_steps=3)
    return {
        "default": zoomout_pipeline(**COMMON, **jobs),
        "forest": zoomout_pipeline(
            **COMMON, **jobs, backbone="zoomnet", input_size=96
        ).set_params(classifier__compress=False, classifier__weight=0.5),
        "four_levels": Pipeline(
            [
                ("superpixels", SuperpixelSegmenter(n_segments=40, **jobs)),
                (
                    "zoomout",
                    FeatureUnion(
                        [
                            ("local", LocalFeatures(random_state=0, **jobs)),
                            ("proximal", ProximalFeatures(random_state=0, **jobs)),
                            ("distant", ConvnetRegionFeatures(input_size=96)),
                            ("global", GlobalFeatures()),
                        ]
                    ),
                ),
                ("classifier", ZoomoutClassifier((8,), max_epochs=2, random_state=0)),
            ]
        ),
        "fine_tuning": zoomout_pipeline(
            levels=["global", "maps"],
            backbone=fine_tuned,
            input_size=96,
            hidden_units=(8,),
            dropout=0.5,
            **COMMON,
            **jobs,
        ),
        "local_convnet": zoomout_pipeline(
            levels=["local_convnet"], **COMMON, **jobs
        ).set_params(zoomout__local_convnet__training=training),
    }


def make_images():
    """Return four images and their masks."""
    return make_scenes(n_images=4, size=(64, 96), random_state=0)


def digest(arrays):
    """Return a digest of the types, shapes and values of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def digest_file(model):
    """Return a digest of the saved model, without the seconds that training took."""
    classifier = getattr(model[-1], "estimator_", model[-1])
    for epoch in (*classifier.history_, *classifier.net_.history):
        epoch["dur"] = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.zoomout")
        save_model(model, path)
        return hashlib.sha256(path.read_bytes()).hexdigest()


def fit_all(n_jobs):
    """Fit every pipeline, and return what it computes as digests."""
    images, masks = make_images()
    found = {}
    for name, model in make_models(n_jobs).items():
        model.fit(images, masks)
        found[name] = {
            "features": digest([model[:-1].transform(images).to_numpy()]),
            "probabilities": digest(model.predict_proba(images)),
            "labels": digest(model.predict(images)),
            "file": digest_file(model),
        }
    return found


def main():
    """Fit in this process, whose global generators have a seed of their own."""
    import torch

    seed, n_jobs = map(int, sys.argv[1:])
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    warnings.simplefilter("ignore")
    print(json.dumps(fit_all(n_jobs)))


if __name__ == "__main__":
    main()
