"""Trials of faults: interruptions, kills, full disks, shared caches, processes."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _trials import Broken, Workbench, color_pipeline, trial
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import EpochScoring

from sklearn_zoomout import FeatureCache, load_model, save_model
from sklearn_zoomout import cache as cache_module
from sklearn_zoomout.exceptions import CacheWarning
from sklearn_zoomout.superpixels import slic

# Programs of other processes begin with this, in the folder of this file.
BEGIN = "from _trials import *; import os, sys; bench = Workbench(Path(sys.argv[1]))\n"
SAVE = (
    "from sklearn_zoomout import save_model; bench.fitted; print('ready', flush=True);"
)
SAVE += "[save_model(bench.fitted, bench.folder / 'model.zoomout') for _ in range(999)]"
CACHED = "model = color_pipeline(superpixels__memory=str(bench.folder / 'cache'));"
CACHED += "import joblib; print(joblib.hash([x.tolist() for x in"
CACHED += " model.fit(bench.images, bench.masks).predict(bench.images)]))"
SEARCH = """
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
grid = {'classifier__hidden_units': [(2,), (4,)]}
with parallel_config('multiprocessing', n_jobs=2):
    search = GridSearchCV(color_pipeline(), grid, cv=2, error_score='raise')
    search.fit(bench.images, bench.masks)
"""
FORK = """
import torch
torch.set_num_threads(2)
a = torch.ones(600, 600); a @ a
expected = bench.fitted.predict(bench.images)
child = os.fork()
if child == 0:
    found = bench.fitted.predict(bench.images)
    os._exit(not all(map(np.array_equal, found, expected)))
assert os.waitpid(child, 0)[1] == 0
"""
OPTIMIZED = """
for spoil in (lambda x: x[:0], lambda x: x > 9, lambda x: x.astype(float)):
    bench.refuses_image(spoil(bench.images[2]))
bench.refuses_mask(bench.masks[2] + .5)
"""


def start(bench, program, *options):
    """Start another process of Python."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [sys.executable, *options, "-c", BEGIN + program, str(bench.folder)],
        cwd=Path(__file__).parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(bench, program, *options):
    """Return what another process prints; it must end, and without an error."""
    process = start(bench, program, *options)
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Broken("the process did not end") from None
    if process.returncode:
        raise Broken(err[-500:])
    return out


def entries(folder):
    """Return the entries of a cache."""
    return sorted(Path(folder).glob("??/*.npy"))


@trial(50, "Ctrl-C in `fit`", "`KeyboardInterrupt`; nothing is fitted")
def interrupted(bench: Workbench) -> None:
    calls = []

    def method(rgb):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return slic(rgb, 30, 10)

    model = color_pipeline().fit(bench.images, bench.masks)
    model.set_params(superpixels__method=method)
    # A process of the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        bench.fails(
            lambda: model.fit(bench.images, bench.masks), kind=KeyboardInterrupt
        )
    finally:
        signal.signal(signal.SIGINT, before)
    bench.fails(lambda: model.predict(bench.images), kind=NotFittedError)


@trial(51, "Loss that becomes NaN", "Error in that epoch; nothing is fitted")
def nan_loss(bench: Workbench) -> None:
    model = color_pipeline(classifier__learning_rate=1e30, classifier__max_epochs=99)
    bench.fails(lambda: model.fit(bench.images, bench.masks), "epoch", "learning_rate")
    with bench.changed(bench, "seen", list(bench.seen)):
        bench.fails(lambda: model.predict(bench.images), kind=NotFittedError)


@trial(52, "Killed while a model is saved", "The file is the old one or the new one")
def killed(bench: Workbench) -> None:
    save_model(bench.fitted, bench.folder / "model.zoomout")
    expected = bench.fitted.predict(bench.images)
    for _ in range(4):
        process = start(bench, SAVE)
        process.stdout.readline()
        time.sleep(random.random() / 5)
        process.kill()
        process.communicate()
        found = load_model(bench.folder / "model.zoomout").predict(bench.images)
        bench.same(found, expected, "the model is whole after 4 kills")


@trial(53, "Disk full", "Cache: one warning. Model: error; the old file stays")
def disk_full(bench: Workbench) -> None:
    path = bench.folder / "model.zoomout"
    save_model(bench.fitted, path)
    before = path.read_bytes()
    model = color_pipeline(superpixels__memory=str(bench.folder / "cache"))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old[1]))
    try:
        bench.fails(lambda: save_model(bench.fitted, path), kind=OSError)
        superpixels = bench.warns(
            lambda: model[0].transform(bench.images), CacheWarning, "cannot be written"
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    bench.holds(len(superpixels) == 4, "superpixels are returned, with one warning")
    files = [p.name for p in bench.folder.rglob("*") if p.is_file()]
    bench.holds(files == [path.name], "nothing half-written is left")
    bench.holds(path.read_bytes() == before, "the old model is whole")


@trial(54, "Two processes on one cache", "Both compute what one computes")
def two_processes(bench: Workbench) -> None:
    processes = [start(bench, CACHED) for _ in range(2)]
    printed = {process.communicate(timeout=240)[0] for process in processes}
    bench.holds(printed == {run(bench, CACHED)}, "the same labels")


@trial(55, "Cache entry damaged, or replaced by a pickle", "Warning; computed again")
def damaged_entry(bench: Workbench) -> None:
    from _bad_files import Attack, pickle

    segmenter = color_pipeline(superpixels__memory=str(bench.folder / "cache"))[0]
    expected = segmenter.transform(bench.images)
    victim = bench.folder / "victim"
    for spoil in (
        lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        lambda content: content[:-1],
        lambda content: pickle.dumps(Attack(victim)),
    ):
        path = entries(bench.folder / "cache")[1]
        path.write_bytes(spoil(path.read_bytes()))
        again = bench.warns(
            lambda: segmenter.transform(bench.images), CacheWarning, "damaged"
        )
        for one, other in zip(again, expected, strict=True):
            bench.same(one.segments, other.segments, "it is computed again")
    bench.holds(not victim.exists(), "nothing is run, superpixels are right")


@trial(56, "Cache of other parameters", "Not used")
def other_parameters(bench: Workbench) -> None:
    memory = str(bench.folder / "cache")
    color_pipeline(superpixels__memory=memory)[0].transform(bench.images)
    other = {"superpixels__compactness": 30.0}
    kept = color_pipeline(superpixels__memory=memory, **other)[0]
    plain = color_pipeline(**other)[0].transform(bench.images)
    for one, other in zip(kept.transform(bench.images), plain, strict=True):
        bench.same(one.segments, other.segments, "the entries are of one compactness")


@trial(57, "Cache that cannot be written", "One warning; results are returned")
def read_only(bench: Workbench) -> None:
    def fail(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    model = color_pipeline(superpixels__memory=str(bench.folder / "cache"))
    with bench.changed(cache_module, "write_whole", fail):
        bench.warns(lambda: model[0].transform(bench.images), CacheWarning, "Read-only")
    bench.holds(not entries(bench.folder / "cache"), "one warning for 4 images")


@trial(58, "`python -O`", "The same errors")
def optimized(bench: Workbench) -> None:
    run(bench, OPTIMIZED, "-O")
    bench.holds(True, "the same errors without assert")


@trial(75, 'joblib\'s backend "multiprocessing"', "Works in `fit` and in searches")
def multiprocessing(bench: Workbench) -> None:
    run(bench, SEARCH)
    bench.holds(True, "a search of two processes ends")


@trial(76, "Fork of a process that has used torch", "Works, with one thread")
def fork(bench: Workbench) -> None:
    run(bench, FORK)
    bench.holds(True, "the child predicts the same and ends")


@trial(77, "Other programs on the machine", "At most twice the processor time")
def busy(bench: Workbench) -> None:
    def fit():
        before = time.process_time()
        model = color_pipeline(classifier__max_epochs=60)
        model.fit(bench.images * 8, bench.masks * 8)
        return time.process_time() - before

    fit()
    alone = min(fit() for _ in range(3))
    others = [start(bench, "[0 for _ in iter(int, 1)]") for _ in range(2)]
    try:
        beside = min(fit() for _ in range(3))
    finally:
        for process in others:
            process.kill()
            process.communicate()
    bench.holds(beside < 2 * alone, f"{beside / alone:.2f} times the processor time")


@trial(78, "`EpochScoring` and others that need rows", "Error before any superpixel")
def callbacks(bench: Workbench) -> None:
    bench.refuses(
        bench.images,
        bench.masks,
        *("callbacks[0]", "EpochScoring"),
        classifier__callbacks=[EpochScoring("accuracy")],
    )


@trial(79, "Metadata routing switched on", "`score` and searches work")
def routing(bench: Workbench) -> None:
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(color_pipeline(), bench.images, bench.masks, cv=2)
        grid = {"classifier__hidden_units": [(2,), (4,)]}
        search = GridSearchCV(color_pipeline(), grid, cv=2, error_score="raise")
        search.fit(bench.images, bench.masks)
    bench.holds(np.isfinite(scores).all() and search.best_params_, "scores are numbers")


@trial(80, "A class in one image only", "Error in that fold: names `classes=`")
def rare_class(bench: Workbench) -> None:
    masks = [mask.copy() for mask in bench.masks]
    masks[0][:20, :30] = 3
    options = {"cv": 4, "error_score": "raise"}
    bench.fails(
        lambda: cross_val_score(color_pipeline(), bench.images, masks, **options),
        "classes=",
    )


@trial(82, "Cache larger than `max_bytes`", "The least recently used entries go")
def full_cache(bench: Workbench) -> None:
    memory = FeatureCache(bench.folder / "cache", max_bytes=20_000)
    model = color_pipeline(superpixels__memory=memory)
    for i in range(12):
        model[0].transform([image[:, i:] for image in bench.images])
    size = sum(path.stat().st_size for path in entries(bench.folder / "cache"))
    bench.holds(size < 30_000, f"{size} bytes of 48 entries are left")
