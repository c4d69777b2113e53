"""Ctrl-C at random moments of a fit: how often the model is not fitted afterwards.

A timer sends a signal at a moment that is drawn from the time that a fit takes. Its
handler is the one of Ctrl-C, which raises KeyboardInterrupt wherever the program is:
while superpixels are cut, weights are loaded, networks run or a classifier is trained.
The fit is the first one of a model, or one of a model that was fitted to other images.
It should raise KeyboardInterrupt, and ``predict`` should raise NotFittedError. A fit
that has ended before the signal is drawn again.

    python benchmarks/interruptions.py
    python benchmarks/interruptions.py --draws 40 --only pixels

Of every tenth interrupted model, the next fit is compared with one of a new model.
The moments differ from run to run, since they are times.
"""

import copy
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from _common import make_parser, print_setup
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_zoomout import (
    Backbone,
    FineTuning,
    GraphSmoothing,
    zoomout_pipeline,
)
from sklearn_zoomout.backbones import _loading
from sklearn_zoomout.datasets import make_scenes

_CHECKED = 10
_RESULTS = ("not fitted", "predicts", "other error", "lost signal", "other labels")


def make_models(checkpoint):
    """Return pipelines of several kinds, each fast to fit."""
    common = {"n_segments": 40, "random_state": 0}
    small = {**common, "backbone": "zoomnet", "input_size": 96}
    steps = {"max_epochs": 4, "hidden_units": (16,)}
    levels = ("local", "proximal", "distant", "global")
    backbone = Backbone("zoomnet", fine_tune=FineTuning(max_steps=4, input_size=64))
    smoothed = zoomout_pipeline(pixels=False, **steps, **small)
    smoothed.set_params(classifier=GraphSmoothing(smoothed["classifier"], cv=2))
    return {
        "default": zoomout_pipeline(input_size=160, **common).set_params(
            classifier__n_pixels=500
        ),
        "four levels": zoomout_pipeline(levels=levels, **steps, **small),
        "two threads": zoomout_pipeline(levels=levels, n_jobs=2, **steps, **small),
        "fine-tuned": zoomout_pipeline(
            levels=["maps"], **{**steps, **small, "backbone": backbone}
        ),
        "pixels": zoomout_pipeline(**steps, **small, pixels=True).set_params(
            classifier__n_pixels=500, classifier__weight=0.5
        ),
        "smoothing": smoothed,
        "checkpoint": zoomout_pipeline(
            levels=["distant"], checkpoint=checkpoint, **steps, **small
        ),
    }


def interrupt(model, data, delay):
    """Fit a model, and send a signal after a delay in seconds.

    Returns
    -------
    bool
        Whether the signal came before the end of the fit.
    error : BaseException or None
        What the fit raised.
    """
    arrived, ended, error = [], False, None

    def handle(*args):
        if not ended:
            arrived.append(True)
            signal.default_int_handler(*args)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
    try:
        model.fit(*data)
        ended = True
    except BaseException as raised:  # whatever the fit makes of the signal
        error = raised
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return bool(arrived), error


def judge(model, images, error):
    """Name the state of a model after an interrupted fit."""
    if error is None:
        return "lost signal"
    if not isinstance(error, KeyboardInterrupt):
        print(f"  {type(error).__name__}: {error}", flush=True)
        return "other error"
    try:
        model.predict(images)
    except NotFittedError:
        return "not fitted"
    except Exception as raised:
        print(f"  predict: {type(raised).__name__}: {raised}", flush=True)
        return "other error"
    return "predicts"


def same_labels(model, other, images):
    """Tell whether two models predict the same."""
    pairs = zip(model.predict(images), other.predict(images), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def run(model, one, other, n_draws, rng, checkpoints):
    """Interrupt fits of a kind of model, first ones and later ones in turn."""
    earlier = clone(model).fit(*other)
    start = time.perf_counter()
    whole = clone(model).fit(*one)
    seconds = time.perf_counter() - start
    counts, n_done = Counter(), 0
    while n_done < n_draws:
        fitted = copy.deepcopy(earlier) if n_done % 2 else clone(model)
        if n_done % 4 < 2:
            _loading._load_once.cache_clear()
        for path in checkpoints.iterdir():
            path.unlink()
        arrived, error = interrupt(fitted, one, rng.uniform(0, seconds))
        if not arrived:
            if error is not None:
                raise error
            continue
        counts[judge(fitted, one[0], error)] += 1
        n_done += 1
        if n_done % _CHECKED == 0:
            counts["other labels"] += not same_labels(fitted.fit(*one), whole, one[0])
    return seconds, counts


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one kind of model")
    args = parser.parse_args()
    print_setup(args)
    images, masks = make_scenes(n_images=8, random_state=args.seed)
    one, other = (images[:4], masks[:4]), (images[4:], masks[4:])
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(folder)
        chosen = [name for name in models if args.only in (None, name)]
        print(f"{'model':14}{'seconds':>8}", *(f"{name:>13}" for name in _RESULTS))
        total = Counter()
        for i, name in enumerate(chosen):
            n_draws = args.draws * (i + 1) // len(chosen) - total["draws"]
            seconds, counts = run(models[name], one, other, n_draws, rng, Path(folder))
            total += Counter(counts, draws=n_draws)
            figures = (f"{counts[result]:13}" for result in _RESULTS)
            print(f"{name:14}{seconds:8.2f}", *figures, flush=True)
    print(f"not fitted: {total['not fitted']} of {total['draws']}")


if __name__ == "__main__":
    main()
