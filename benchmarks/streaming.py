"""Train on more rows than fit in memory: peak memory and rows per second.

The tables have made-up features and are as wide as the paper's on PASCAL VOC: 11,851
columns, of which 4,096 have one row per image. They are written to files, and
`ZoomoutClassifier.fit` trains on them, each in a process of its own:

    python benchmarks/streaming.py                        # 1.6 GB of files
    python benchmarks/streaming.py --rows 50000 1000000   # 15.6 GB
    python benchmarks/streaming.py --rows 5000000 --sparse

"rows/s" is the rate of training after its first batch. "in memory" is a ratio of
rates: one network is trained in turn on batches of the files and on batches of a table
of --rows-in-memory rows in memory, and the first rate is divided by the second. "of
CPU" is the same ratio for rows per second of CPU time, all threads together. That is
the cost of streaming where no second core is idle, and it depends less on other work of
the machine.

With --sparse only the first rows are written, and the rest of the file is a hole, which
the system reads as zeros. Memory and rate are then those of a table of this size,
except for the disk. With --cold the system is told to forget the files before the
training, so that rows are read from the disk even if they would all fit in its cache.

Three measures of memory are printed, in GB and as Linux counts them. "own" is the peak
of RssAnon, the memory that only this process has. "peak" is VmHWM, which also counts
pages of mapped files while they are mapped. The system can take these back at any time,
and the library unmaps them after each use. "before" is "own" before fit: Python and
torch.

"first pass" measures mean and deviation of all columns. It also compares the checksum
of every image, unless --unchecked is given.
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
from _common import PAPER_TRAINING, make_parser, print_setup
from skorch.callbacks import Callback

from sklearn_zoomout import (
    FeatureTable,
    SegmentedImage,
    Superpixels,
    ZoomoutClassifier,
)
from sklearn_zoomout.table import Block
from sklearn_zoomout.table._checksums import RowChecks, checksum

ROWS_OF_AN_IMAGE, N_CLASSES = 500, 21
CHUNK = 2000  # different rows, written again and again


def parse(args=None):
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--rows-in-memory", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=7755)
    parser.add_argument("--columns-of-images", type=int, default=4096)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60, help="longest training")
    parser.add_argument(
        "--folder", help="where to write the files; by default a temporary folder"
    )
    parser.add_argument("--sparse", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--unchecked", action="store_true", help="compare no checksums")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ratio", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(args)


def files_of(args, n_rows):
    """Return path, shape and per_image of the blocks of a table."""
    folder = Path(args.folder)
    n_images = n_rows // ROWS_OF_AN_IMAGE
    return [
        (folder / f"rows_{n_rows}.bin", (n_rows, args.columns), False),
        (folder / f"images_{n_rows}.bin", (n_images, args.columns_of_images), True),
    ]


def make_chunk(args, width):
    return np.random.default_rng(0).normal(1, 1, (CHUNK, width)).astype(args.dtype)


def make_checks(args, path, shape, per_image):
    """Return the checksums that `store_features` would have written."""
    chunk, size = make_chunk(args, shape[1]), 1 if per_image else ROWS_OF_AN_IMAGE
    of_chunk = [checksum(rows) for rows in np.split(chunk, CHUNK // size)]
    sums = np.resize(np.array(of_chunk, np.uint32), shape[0] // size)
    if args.sparse and not per_image:
        sums[len(of_chunk) :] = checksum(np.zeros_like(chunk[:size]))
    return RowChecks(path, np.arange(0, shape[0] + 1, size), sums)


def write_files(args, n_rows):
    for path, (length, width), per_image in files_of(args, n_rows):
        chunk = make_chunk(args, width)
        with open(path, "wb") as file:
            for start in range(0, length, CHUNK):
                file.write(chunk[: length - start].data)
                if args.sparse and not per_image:
                    file.truncate(length * chunk[0].nbytes)
                    break
            file.flush()
            os.fsync(file.fileno())


def make_table(args, n_rows, in_memory=False):
    """Return the table of the files, or a float32 copy of it in memory."""
    grid = np.arange(ROWS_OF_AN_IMAGE).reshape(20, -1)
    item = SegmentedImage(np.zeros((*grid.shape, 3), np.uint8), grid)
    blocks = []
    for path, shape, per_image in files_of(args, n_rows):
        values = np.memmap(path, args.dtype, mode="r", shape=shape)
        checks = None
        if in_memory:
            values = values.astype(np.float32)
        elif not args.unchecked:
            checks = make_checks(args, path, shape, per_image)
        columns = tuple(f"{i:05d}" for i in range(shape[1]))
        blocks.append(Block(path.stem, columns, values, per_image, checks))
    return FeatureTable(Superpixels([item] * (n_rows // ROWS_OF_AN_IMAGE)), blocks)


def make_masks(n_images):
    rng = np.random.default_rng(0)
    some = rng.integers(0, N_CLASSES, (50, 20, ROWS_OF_AN_IMAGE // 20), dtype=np.uint8)
    return [some[i % 50] for i in range(n_images)]


class TimeUp(Exception):
    """The time for training is over."""


class Clock(Callback):
    """Measure an epoch, and end it when its time is up."""

    def __init__(self, seconds, forget):
        self.seconds = seconds
        self.forget = forget
        self.first = None

    def on_train_begin(self, net, **kwargs):
        self.begin = time.perf_counter()
        self.forget()

    def on_batch_end(self, net, batch, **kwargs):
        now = time.perf_counter()
        if self.first is None:
            self.first, self.n_rows = now, 0
            return
        self.n_rows += len(batch[1])
        self.elapsed = now - self.first
        if self.elapsed > self.seconds:
            raise TimeUp


def memory(name):
    """Return one of the figures of /proc/self/status in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 2**20
    raise ValueError(name)


class PeakOfOwn(threading.Thread):
    """Measure the peak memory of this process, every 20 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = 0.0

    def run(self):
        while True:
            self.peak = max(self.peak, memory("RssAnon"))
            time.sleep(0.02)


def measure(args):
    """Fit, and print the measured figures."""
    n_rows = args.one
    table, masks = make_table(args, n_rows), make_masks(n_rows // ROWS_OF_AN_IMAGE)

    def forget():
        if args.cold:
            for path, _, _ in files_of(args, n_rows):
                with open(path) as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    clock = Clock(args.seconds, forget)
    model = ZoomoutClassifier(
        (args.hidden,),
        max_epochs=1,
        callbacks=[clock],
        random_state=0,
        **PAPER_TRAINING,
    )
    before, own = memory("RssAnon"), PeakOfOwn()
    own.start()
    start = time.perf_counter()
    with contextlib.suppress(TimeUp):
        model.fit(table, masks)
    first_pass = clock.begin - start
    result = {
        "first pass": first_pass,
        "rate": clock.n_rows / clock.elapsed,
        "before": before,
        "own": own.peak,
        "peak": memory("VmHWM"),
    }
    print(json.dumps(result))


class Interceptor(Callback):
    """Keep a network and its training rows, and end the training before it begins."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.net = net
        self.rows, _ = net.get_split_datasets(X)
        raise TimeUp


def intercept(args, table):
    """Return the untrained network of a classifier, and endless batches."""
    interceptor = Interceptor()
    model = ZoomoutClassifier(
        (args.hidden,),
        max_epochs=1,
        callbacks=[interceptor],
        random_state=0,
        **PAPER_TRAINING,
    )
    with contextlib.suppress(TimeUp):
        model.fit(table, make_masks(len(table)))
    net = interceptor.net

    def batches():
        while True:
            yield from net.get_iterator(interceptor.rows, training=True)

    return net, batches()


def measure_ratio(args):
    """Train in turn on batches of files and of memory, and print ratios of rates."""
    net, of_files = intercept(args, make_table(args, args.one))
    table = make_table(args, args.rows_in_memory, in_memory=True)
    _, of_memory = intercept(args, table)
    streams = {"files": of_files, "memory": of_memory}
    wall, cpu = dict.fromkeys(streams, 0.0), dict.fromkeys(streams, 0.0)
    for stream in streams.values():
        next(stream)
    while sum(wall.values()) < args.seconds:
        for name, stream in streams.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            for _ in range(11):  # as many as the rows that are read at once make
                net.train_step(next(stream))
            wall[name] += time.perf_counter() - start
            cpu[name] += time.process_time() - cpu_start
    result = {
        "in memory": wall["memory"] / wall["files"],
        "of CPU": cpu["memory"] / cpu["files"],
    }
    print(json.dumps(result))


def run(args, n_rows, *flags):
    """Measure in a process of its own."""
    own = {"rows", "one", "ratio", "sparse", "cold", "unchecked"}
    options = [
        part
        for name, value in vars(args).items()
        if name not in own
        for part in ("--" + name.replace("_", "-"), str(value))
    ]
    switches = ("sparse", "unchecked")
    options += [f"--{name}" for name in switches if getattr(args, name)]
    command = [sys.executable, __file__, "--one", str(n_rows), *options, *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(args):
    """Print a row for each size."""
    print_setup(args)
    args.rows_in_memory -= args.rows_in_memory % ROWS_OF_AN_IMAGE
    titles = ["first pass", "rate", "in memory", "of CPU", "before", "own", "peak"]
    units = ["rows", "GB", "pass, s", "rows/s", *titles[2:]]
    print("".join(f"{unit:>12s}" for unit in units))
    for wanted in args.rows:
        n_rows = wanted - wanted % ROWS_OF_AN_IMAGE
        written = {n_rows, args.rows_in_memory}
        for n in written:
            write_files(args, n)
        result = run(args, n_rows, *(["--cold"] if args.cold else []))
        result |= run(args, n_rows, "--ratio")
        files = [path for path, _, _ in files_of(args, n_rows)]
        size = sum(path.stat().st_size for path in files) / 1e9
        cells = [f"{n_rows:,}", f"{size:.1f}", f"{result['first pass']:.0f}"]
        cells += [f"{result['rate']:.0f}"]
        cells += [f"{result[title]:.2f}" for title in titles[2:]]
        print("".join(f"{cell:>12s}" for cell in cells), flush=True)
        for n in written:
            for path, _, _ in files_of(args, n):
                path.unlink()


def main():
    args = parse()
    if args.ratio:
        measure_ratio(args)
    elif args.one:
        measure(args)
    elif args.folder is None:
        with tempfile.TemporaryDirectory() as args.folder:
            compare(args)
    else:
        compare(args)


if __name__ == "__main__":
    main()
