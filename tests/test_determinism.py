"""The same seed gives the same model, and an image the same labels, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from repeated_fits import make_images, make_models

from sklearn_zoomout import load_model, save_model

ROOT = Path(__file__).parents[1]
MODELS = list(make_models())
PREDICT = """
import sys, torch
import numpy as np
from sklearn_zoomout import load_model
sys.path.append("tests")
from repeated_fits import make_images

torch.set_num_threads(int(sys.argv[1]))
labels = load_model(sys.argv[2]).predict(make_images()[0])
np.savez(sys.argv[3], *labels)
"""


def run(*arguments, n_threads, hash_seed=0):
    """Run Python in a fresh process, and return what it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": str(hash_seed),
        "OMP_NUM_THREADS": str(n_threads),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fit_all(seed, n_jobs):
    """Fit all models in a fresh process of one thread, or one for each job."""
    script = ROOT / "tests" / "repeated_fits.py"
    return json.loads(run(script, seed, n_jobs, n_threads=1, hash_seed=seed))


@pytest.fixture(scope="module")
def fits():
    """What two processes of other hashes and other global seeds find."""
    return fit_all(1, 1), fit_all(2, 1)


@pytest.fixture(scope="module")
def parallel():
    """What a process finds that works on two images at once."""
    return fit_all(3, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_fresh_process_repeats_a_fit(fits, name):
    """Equal features, probabilities and labels, and every byte of the saved model."""
    first, second = fits
    assert first[name] == second[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_jobs_change_nothing(fits, parallel, name):
    """Images are worked on in any order, and sums are not."""
    for part in ("features", "probabilities", "labels"):
        assert parallel[name][part] == fits[0][name][part]


@pytest.fixture(scope="module")
def images():
    """Four images."""
    return make_images()[0]


@pytest.fixture(scope="module", params=["four_levels", "forest"])
def fitted(request):
    """Models of hidden units, of a linear softmax and of pixels."""
    return make_models()[request.param].fit(*make_images())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["default", "four_levels"])
def test_threads_do_not_change_the_labels_of_a_model(name, tmp_path, images):
    """One and two threads, in fresh processes and in this one."""
    model = make_models()[name].fit(*make_images())
    path = tmp_path / "model.zoomout"
    save_model(model, path)
    expected = load_model(path).predict(images)
    for n_threads in (1, 2):
        out = tmp_path / f"{n_threads}.npz"
        run("-c", PREDICT, n_threads, path, out, n_threads=n_threads)
        with np.load(out) as found:
            assert_equal([found[name] for name in found.files], expected)


@pytest.mark.slow
def test_an_image_alone_gets_what_it_gets_among_others(fitted, images):
    """Bit for bit: no batch has rows of two images."""
    for predict in (fitted.predict, fitted.predict_proba):
        alone = [predict([image])[0] for image in images]
        assert_equal(alone, predict(images))


@pytest.mark.slow
def test_the_order_of_images_changes_nothing(fitted, images):
    """Bit for bit, and so do images that are there twice."""
    order = [2, 0, 0, 3, 1]
    for predict in (fitted.predict, fitted.predict_proba):
        together = predict(images)
        found = predict([images[i] for i in order])
        assert_equal(found, [together[i] for i in order])


def assert_equal(found, expected):
    """Check that two lists of arrays are equal, bit for bit."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
