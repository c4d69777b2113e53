"""Train on more rows than fit in memory: peak memory and rows per second.

Tables of made-up features, as wide as the paper's on PASCAL VOC (11,851 columns, 4,096
of them one row an image), are written to files, and `ZoomoutClassifier.fit` learns from
them, each in a process of its own:

    python benchmarks/streaming.py                        # 1.6 GB of files
    python benchmarks/streaming.py --rows 50000 1000000   # 15.6 GB
    python benchmarks/streaming.py --rows 5000000 --sparse

"in memory" is the rate on a table of --rows-in-memory rows that is held in memory,
"ratio" what of it is left, and "of CPU" the same ratio of the rows per second of CPU
time, all threads together, which says more where other work disturbs the measurement.
With --sparse only the first rows are written, and the rest of the file is a hole, which
the system reads as zeros: memory and rate are those of a table of this size, but for
the disk. With --cold the system is told to forget the files before the training, so
that rows are read from the disk even where all would fit into its cache.

Three measures of memory are printed, in GB and as Linux counts them. "own" is the peak
of RssAnon, what only this process has. "peak" is VmHWM, which also counts pages of
mapped files while they are mapped: the system can take them back at any time, and the
library lets go of them after each use. "before" is "own" before fit: Python and torch.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from _common import print_setup
from skorch.callbacks import Callback

from sklearn_zoomout import (
    FeatureTable,
    SegmentedImage,
    Superpixels,
    ZoomoutClassifier,
)
from sklearn_zoomout.table import Block

ROWS_OF_AN_IMAGE, N_CLASSES = 500, 21
CHUNK = 2000  # different rows, written again and again


def parse(args=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--rows-in-memory", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=7755)
    parser.add_argument("--columns-of-images", type=int, default=4096)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60, help="of training at most")
    parser.add_argument("--folder", help="where to write; by default a temporary one")
    parser.add_argument("--sparse", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--in-memory", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(args)


def files_of(args, n_rows):
    """Path, shape and per_image of the blocks of a table."""
    folder = Path(args.folder)
    n_images = n_rows // ROWS_OF_AN_IMAGE
    return [
        (folder / f"rows_{n_rows}.bin", (n_rows, args.columns), False),
        (folder / f"images_{n_rows}.bin", (n_images, args.columns_of_images), True),
    ]


def write_files(args, n_rows):
    rng = np.random.default_rng(0)
    for path, (length, width), per_image in files_of(args, n_rows):
        chunk = rng.normal(1, 1, (CHUNK, width)).astype(args.dtype)
        with open(path, "wb") as file:
            for start in range(0, length, CHUNK):
                file.write(chunk[: length - start].data)
                if args.sparse and not per_image:
                    file.truncate(length * chunk[0].nbytes)
                    break
            file.flush()
            os.fsync(file.fileno())


def make_table(args, n_rows):
    """The table of the files, or its first rows copied into memory."""
    grid = np.arange(ROWS_OF_AN_IMAGE).reshape(20, -1)
    item = SegmentedImage(np.zeros((*grid.shape, 3), np.uint8), grid)
    blocks = []
    for path, shape, per_image in files_of(args, n_rows):
        values = np.memmap(path, args.dtype, mode="r", shape=shape)
        if args.in_memory:
            values = values.astype(np.float32)
        columns = tuple(f"{i:05d}" for i in range(shape[1]))
        blocks.append(Block(path.stem, columns, values, per_image))
    return FeatureTable(Superpixels([item] * (n_rows // ROWS_OF_AN_IMAGE)), blocks)


def make_masks(n_images):
    rng = np.random.default_rng(0)
    some = rng.integers(0, N_CLASSES, (50, 20, ROWS_OF_AN_IMAGE // 20), dtype=np.uint8)
    return [some[i % 50] for i in range(n_images)]


class TimeUp(Exception):
    """The time for training is over."""


class Clock(Callback):
    """Measure an epoch, and stop it when its time is up."""

    def __init__(self, seconds, forget):
        self.seconds = seconds
        self.forget = forget
        self.n_rows = 0

    def on_train_begin(self, net, **kwargs):
        self.forget()
        self.start, self.cpu_start = time.perf_counter(), time.process_time()

    def on_batch_end(self, net, batch, **kwargs):
        self.n_rows += len(batch[1])
        self.elapsed = time.perf_counter() - self.start
        self.cpu = time.process_time() - self.cpu_start
        if self.elapsed > self.seconds:
            raise TimeUp


def memory(name):
    """Give one of the figures of /proc/self/status in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 2**20
    raise ValueError(name)


class PeakOfOwn(threading.Thread):
    """Look at the memory of this process every 20 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = 0.0

    def run(self):
        while True:
            self.peak = max(self.peak, memory("RssAnon"))
            time.sleep(0.02)


def measure(args):
    """Fit, and print what was measured."""
    n_rows = args.one
    table, masks = make_table(args, n_rows), make_masks(n_rows // ROWS_OF_AN_IMAGE)

    def forget():
        if args.cold and not args.in_memory:
            for path, _, _ in files_of(args, n_rows):
                with open(path) as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    clock = Clock(args.seconds, forget)
    model = ZoomoutClassifier(
        (args.hidden,), max_epochs=1, callbacks=[clock], random_state=0
    )
    from sklearn_zoomout import _training  # noqa: F401  torch counts as before

    before, own = memory("RssAnon"), PeakOfOwn()
    own.start()
    start = time.perf_counter()
    with contextlib.suppress(TimeUp):
        model.fit(table, masks)
    first_pass = clock.start - start
    result = {
        "first pass": first_pass,
        "rate": clock.n_rows / clock.elapsed,
        "cpu": clock.cpu / clock.n_rows,
        "before": before,
        "own": own.peak,
        "peak": memory("VmHWM"),
    }
    print(json.dumps(result))


def run(args, n_rows, *options):
    """Measure in a process of its own."""
    names = ("columns", "columns_of_images", "dtype", "hidden", "seconds", "folder")
    given = [
        part
        for name in names
        for part in ("--" + name.replace("_", "-"), str(getattr(args, name)))
    ]
    command = [sys.executable, __file__, "--one", str(n_rows), *given, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(args):
    """Print a row for each size."""
    print_setup(args)
    sizes = [n // ROWS_OF_AN_IMAGE * ROWS_OF_AN_IMAGE for n in args.rows]
    n_few = args.rows_in_memory // ROWS_OF_AN_IMAGE * ROWS_OF_AN_IMAGE
    write_files(args, n_few)
    titles = ["rows", "GB", "first pass, s", "rows/s", "in memory", "ratio"]
    titles += ["of CPU", "before", "own", "peak"]
    print("".join(f"{title:>14s}" for title in titles))
    for n_rows in sizes:
        write_files(args, n_rows)
        streamed = run(args, n_rows, *(["--cold"] if args.cold else []))
        # Right before or after, since other work on the machine comes and goes.
        plain = run(args, n_few, "--in-memory")
        stored = sum(
            np.prod(shape) * np.dtype(args.dtype).itemsize
            for _, shape, _ in files_of(args, n_rows)
        )
        cells = [f"{n_rows:,}", f"{stored / 1e9:.1f}", f"{streamed['first pass']:.0f}"]
        cells += [f"{streamed['rate']:.0f}", f"{plain['rate']:.0f}"]
        cells += [f"{streamed['rate'] / plain['rate']:.2f}"]
        cells += [f"{plain['cpu'] / streamed['cpu']:.2f}"]
        cells += [f"{streamed[name]:.2f}" for name in ("before", "own", "peak")]
        print("".join(f"{cell:>14s}" for cell in cells), flush=True)
        if n_rows != n_few:
            for path, _, _ in files_of(args, n_rows):
                path.unlink()


def main():
    args = parse()
    if args.one:
        measure(args)
    elif args.folder is None:
        with tempfile.TemporaryDirectory() as args.folder:
            compare(args)
    else:
        compare(args)


if __name__ == "__main__":
    main()
