"""Kills, flipped bytes and shared folders: whether anything on disk is silently wrong.

    python benchmarks/faults.py               # some minutes; no data and no network
    python benchmarks/faults.py --kills 20 --flips 30

Kills: a process that writes gets SIGKILL at a random moment. "alive" kills came before
the process had finished. "torn" files cannot be read afterwards, "wrong" ones have
neither the old nor the new content, and files are "left over" if the next process that
writes the same does not remove them.

Flips: one byte of a file is changed at a random place, and the file is read. A flip is
"noticed" if there is an error or, of the cache, a warning and a new computation. It is
"harmless" if all that is read equals what was written, and "silent" otherwise.
"mended" tables equal the original after `store_features` was called again.

The last line counts wrong results of processes that share a cache. Torn, wrong, left
over and silent must be 0, and the exit code is 1 if they are not.
"""

import itertools
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import _killed
import numpy as np
from _common import make_parser
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_zoomout import (
    Backbone,
    FeatureCache,
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    load_model,
    open_features,
    save_model,
    store_features,
)
from sklearn_zoomout.backbones import load_network
from sklearn_zoomout.backbones._weights import EMBEDDED_FOLDER, EMBEDDED_SHA256
from sklearn_zoomout.datasets import make_scenes
from sklearn_zoomout.exceptions import CacheWarning

FILES = ["block_0.bin", "block_1.bin", "segments.bin", "images.bin", "manifest.json"]


def parse(args=None):
    parser = make_parser(__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of each kind")
    parser.add_argument("--flips", type=int, default=300, help="in each kind of file")
    parser.add_argument("--processes", type=int, default=8, help="that share a cache")
    parser.add_argument("--calls", type=int, default=500, help="of each of them")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(args)


def make_features(images):
    """Fit superpixels and two levels, one of which is per image."""
    levels = [("local", LocalFeatures(("color", "location"))), ("size", _killed.Size())]
    steps = [("superpixels", SuperpixelSegmenter(30)), ("levels", FeatureUnion(levels))]
    return Pipeline(steps).fit(images)


def make_models(images, masks):
    """Return two different fitted models."""
    return [
        Pipeline(
            [
                ("superpixels", SuperpixelSegmenter(n_segments)),
                ("local", LocalFeatures(("color",))),
                ("classifier", ZoomoutClassifier(estimator=LogisticRegression())),
            ]
        ).fit(images, masks)
        for n_segments in (20, 30)
    ]


def content_of(table):
    """Return all that is read of a table."""
    levels = [table.columns, table.n_rows, table.to_numpy()]
    return levels + [item.segments for item in table.superpixels]


def is_equal(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def warm_processes():
    """Return a context whose processes begin with all modules imported."""
    folder, path = str(Path(__file__).parent), os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, path]))
    # A killed process cannot clean up the lock of its progress bars.
    os.environ["PYTHONWARNINGS"] = (
        "ignore::UserWarning:multiprocessing.resource_tracker"
    )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([Path(__file__).stem])
    return context


# Kills ------------------------------------------------------------------------------


class Kills:
    """Processes that are killed at random moments, and what is found afterwards."""

    def __init__(self, args):
        self.args, self.rng = args, random.Random(args.seed)
        self.context = warm_processes()
        titles = ("kills", "alive", "torn", "wrong", "left over")
        print(f"{'kills':28}" + "".join(f"{title:>10}" for title in titles))

    def repeat(self, name, longest, check, function, *arguments):
        """Kill processes, check each time, print a row, and return whether all is well.

        ``arguments()`` are those of the function, ``check()`` returns "torn", "wrong"
        or "", and the files that are left over.
        """
        n_alive, counts, n_left = 0, {"torn": 0, "wrong": 0, "": 0}, 0
        for _ in range(self.args.kills):
            n_alive += self.kill(self.rng.uniform(0, longest), function, *arguments)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found, left = check()
            counts[found] += 1
            n_left += len(left)
        torn, wrong = counts["torn"], counts["wrong"]
        cells = self.args.kills, n_alive, torn, wrong, n_left
        print(f"{name:28}" + "".join(f"{cell:10}" for cell in cells), flush=True)
        return not torn + wrong + n_left

    def kill(self, seconds, *work):
        """Start a process, kill it, and return whether it was still at work."""
        reader, writer = self.context.Pipe(duplex=False)
        process = self.context.Process(
            target=_killed.tell_and_run, args=(writer, *work)
        )
        process.start()
        writer.close()
        reader.recv_bytes()
        time.sleep(seconds)
        alive = process.is_alive()
        process.kill()
        process.join()
        return alive


def kill_savers(kills, folder, models):
    path = folder / "model"
    contents = set()
    for model in models:
        save_model(model, path)
        contents.add(path.read_bytes())

    def check():
        try:
            load_model(path)
        except ValueError:
            return "torn", []
        right = path.read_bytes() in contents
        save_model(models[0], path)
        left = [item for item in folder.iterdir() if item != path]
        return "" if right else "wrong", left

    return kills.repeat("save_model", 0.1, check, _killed.save_models, path, models)


def kill_cache_writers(kills, folder):
    numbers = itertools.cycle(range(_killed.N_KEYS))

    def check():
        cache = FeatureCache(folder, _killed.MAX_BYTES)
        cache.put(*_killed.entry(next(numbers)))
        for key, values in map(_killed.entry, range(_killed.N_KEYS)):
            try:
                got = cache.get(key)
            except CacheWarning:
                return "torn", []
            if got is not None and not np.array_equal(got, values):
                return "wrong", []
        files = {path for path in folder.rglob("*") if path.is_file()}
        return "", files - set(folder.glob("??/*.npy"))

    return kills.repeat("FeatureCache", 0.1, check, _killed.fill_cache, folder)


def kill_storers(kills, folder, transformer, images):
    start = time.perf_counter()
    expected = store_features(transformer, images, folder, images_at_once=1)
    seconds, expected = time.perf_counter() - start, content_of(expected)
    shutil.rmtree(folder)

    def check():
        try:
            table = store_features(transformer, images, folder, images_at_once=1)
            right = is_equal(content_of(table), expected)
        except (ValueError, CacheWarning):
            return "torn", []
        left = {path.name for path in folder.iterdir()} - {"lock", *FILES}
        shutil.rmtree(folder)
        return "" if right else "wrong", left

    work = _killed.store, folder, transformer, images
    return kills.repeat("store_features", 1.1 * seconds, check, *work)


# Flips ------------------------------------------------------------------------------


def flip(path, rng):
    """Change one byte of a file."""
    place, change = rng.randrange(path.stat().st_size), rng.randrange(1, 256)
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ change]))


def flip_bytes(args, name, path, read, mend=None):
    """Flip bytes, print a row, and return whether none was silent.

    ``read()`` returns whether all is as it was written, or raises an error. ``mend()``
    returns whether all is again as it was.
    """
    rng, original = random.Random(args.seed), path.read_bytes()
    noticed = harmless = silent = mended = 0
    for _ in range(args.flips):
        flip(path, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("error", CacheWarning)
            try:
                right = read()
            except (ValueError, CacheWarning):
                noticed += 1
            else:
                harmless, silent = harmless + right, silent + (not right)
        if mend is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CacheWarning)
                mended += mend()
        path.write_bytes(original)
    cells = args.flips, noticed, harmless, silent, "" if mend is None else mended
    print(f"{name:28}" + "".join(f"{cell:>10}" for cell in cells), flush=True)
    return not silent and (mend is None or mended == args.flips)


def flip_model(args, folder, models, images):
    path = folder / "model"
    save_model(models[0], path)
    expected = models[0].predict(images)
    return flip_bytes(
        args,
        "model",
        path,
        lambda: is_equal(load_model(path).predict(images), expected),
    )


def flip_weights(args, folder):
    name = "zoomnet"
    path = folder / f"{name}.safetensors"
    folder.mkdir()
    shutil.copy(EMBEDDED_FOLDER / path.name, path)
    backbone = Backbone(name, path, weights_sha256=EMBEDDED_SHA256[name])
    expected = load_network(backbone).weights()

    def read():
        weights = load_network(backbone).weights()
        return weights.keys() == expected.keys() and is_equal(
            list(weights.values()), list(expected.values())
        )

    return flip_bytes(args, "weights with a known sum", path, read)


def flip_entry(args, folder):
    key, values = _killed.entry(0)
    cache = FeatureCache(folder)
    cache.put(key, values)
    (path,) = folder.glob("??/*.npy")
    return flip_bytes(
        args, "cache entry", path, lambda: np.array_equal(cache.get(key), values)
    )


def flip_table(args, folder, transformer, images):
    expected = content_of(store_features(transformer, images, folder))

    def read():
        return is_equal(content_of(open_features(folder)), expected)

    def mend():
        table = store_features(transformer, images, folder)
        return is_equal(content_of(table), expected)

    # Without a manifest nothing is known of the other files.
    return all(
        [
            flip_bytes(args, name, folder / name, read, mend if "bin" in name else None)
            for name in FILES
        ]
    )


# Shared folders ---------------------------------------------------------------------


def share_cache(args, folder, context):
    """Let processes share a cache; return whether nothing was wrong or left over."""
    work = [(folder, args.seed + i, args.calls) for i in range(args.processes)]
    with context.Pool(args.processes) as pool:
        n_wrong = sum(pool.starmap(_killed.share_cache, work))
    left = [item for item in (folder / "tmp").iterdir()]
    n_calls = args.processes * args.calls
    print(
        f"\n{args.processes} processes on one cache, {n_calls} calls: {n_wrong} wrong, "
        f"{len(left)} left over"
    )
    return not n_wrong + len(left)


def main():
    args = parse()
    images, masks = make_scenes(4, size=(48, 64), random_state=args.seed)
    transformer, models = make_features(images), make_models(images, masks)
    with tempfile.TemporaryDirectory() as name:
        # A folder of its own for every part.
        folders = (Path(name) / str(i) for i in itertools.count())
        kills = Kills(args)
        results = [
            kill_savers(kills, next(folders), models),
            kill_cache_writers(kills, next(folders)),
            kill_storers(kills, next(folders), transformer, images),
        ]
        titles = ("flips", "noticed", "harmless", "silent", "mended")
        print(f"\n{'flips in':28}" + "".join(f"{title:>10}" for title in titles))
        results += [
            flip_model(args, next(folders), models, images),
            flip_weights(args, next(folders)),
            flip_entry(args, next(folders)),
            flip_table(args, next(folders), transformer, images),
            share_cache(args, next(folders), kills.context),
        ]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
