"""Read mutated files of every format, and count what happens.

    python benchmarks/fuzz.py                            # 135,000 files, some minutes
    python benchmarks/fuzz.py --images 1000 --others 100
    python benchmarks/fuzz.py --kinds images --first 1234 --images 1 --keep found

Sound files of 16 x 16 pixels are changed by flips, cuts, insertions, splices, and by
edits of the lengths, sizes, tags, chunks and JSON of their formats. Digests and
checksums that anyone can compute are right again after an edit, so that the code behind
them is reached. One file in a hundred is a pickle that would make a folder.

Files are read by processes that may take --memory GB of address space for them, and
that are ended when a file takes longer than --seconds. The columns are

- "read", "refused": an error of the stated list, ValueError or OSError (as is
  FileNotFoundError), whose message has the path; for entries of a cache a warning
- "other": an error that is not in the list, or has no path
- "altered": a table or an entry of a cache was read with other values
- "memory": there was not enough memory within the limit
- "crash", "hang": the process ended, or was ended
- "code run": a pickle was run
- "peak": the most memory that a process held, in MB, and what it held before reading

Every file is drawn by the seed, its kind and its number alone, so that --first repeats
it.
"""

import logging
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from _common import make_parser
from _fuzz_targets import ALTERED as CHANGED
from _fuzz_targets import NO_MEMORY, OTHER, RAN, READ, REFUSED, TARGETS, make_target

CRASH, HANG = b"!", b"H"
_COLUMNS = (READ, REFUSED, OTHER, CHANGED, NO_MEMORY, CRASH[0], HANG[0], RAN)
_TITLES = ("read", "refused", "other", "altered", "memory", "crash", "hang", "code run")
_BAD = {OTHER, CHANGED, NO_MEMORY, CRASH[0], HANG[0], RAN}
_BATCH = 5000  # files of a process


def parse(args=None):
    parser = make_parser(__doc__)
    parser.add_argument(
        "--kinds", nargs="+", choices=list(TARGETS), default=list(TARGETS)
    )
    parser.add_argument("--images", type=int, default=100_000, help="files of images")
    parser.add_argument("--others", type=int, default=7000, help="files of other kinds")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=float, default=4, help="limit in GB")
    parser.add_argument("--seconds", type=float, default=20, help="limit for a file")
    parser.add_argument("--keep", help="folder for files of the columns from other on")
    parser.add_argument("--worker", nargs=3, help="internal: kind, start, stop")
    parser.add_argument("--folder", help="internal: the folder of the workers")
    return parser.parse_args(args)


def work(args):
    """Read the files of a batch; write a byte for each, and messages."""
    kind, start, stop = args.worker[0], *map(int, args.worker[1:])
    folder = Path(args.folder)
    target = make_target(kind, folder)
    _warm_up(target)
    before = _peak()
    limit = int(args.memory * 1e9) + _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable()  # tifffile tells every damaged tag
    outcomes = os.open(folder / "outcomes", os.O_WRONLY)
    with open(folder / "log", "a") as log:
        for i in range(start, stop):
            rng = random.Random(f"{args.seed} {kind} {i}")
            outcome, message, ending, content = target.run(rng)
            if outcome in _BAD:
                log.write(f"{kind} {i}{ending}: {message[:300]!r}\n")
                log.flush()
                if args.keep:
                    name = f"{kind}_{i}{ending}"
                    (Path(args.keep) / name).write_bytes(content)
            os.pwrite(outcomes, bytes([outcome]), i - args.first)
    (folder / f"peak_{kind}").write_text(f"{before} {_peak()}")


def _warm_up(target):
    """Read a sound file of every ending, to import what reads it."""
    for ending, content in target.seeds:
        path = target.place(ending)
        path.write_bytes(content)
        target._try(path)


def _address_space():
    """Return the bytes of address space that this process has, libraries included."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _peak():
    """Return the most megabytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def fuzz(args, kind, folder):
    """Read the files of a kind; return their outcomes and the peaks of memory."""
    n_files = args.images if kind == "images" else args.others
    path = Path(folder) / "outcomes"
    path.write_bytes(b"\0" * n_files)
    peaks = []
    while (done := _n_done(path)) < n_files:
        stop = min(done + _BATCH, n_files)
        options = ["--worker", kind, args.first + done, args.first + stop]
        usage = _run_worker(args, folder, options, path, stop)
        peaks.append(usage)
    outcomes = path.read_bytes()
    for i, outcome in enumerate(outcomes):
        if outcome in (CRASH[0], HANG[0]):
            with open(Path(folder) / "log", "a") as log:
                log.write(f"{kind} {args.first + i}: {chr(outcome)}\n")
    before = (Path(folder) / f"peak_{kind}").read_text().split()[0]
    return outcomes, int(before), max(peaks)


def _n_done(path):
    """Return the number of files before the first without an outcome."""
    outcomes = path.read_bytes()
    found = outcomes.find(b"\0")
    return len(outcomes) if found < 0 else found


def _run_worker(args, folder, options, path, stop):
    """Run a process until it ends or hangs; return its peak of memory in MB."""
    command = [sys.executable, __file__, "--folder", folder, "--seed", args.seed]
    command += ["--memory", args.memory, "--first", args.first, *options]
    command += ["--keep", args.keep] if args.keep else []
    with open(Path(folder) / "stderr", "w") as errors:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=errors, stderr=errors
        )
    begun, last, hung = time.monotonic(), _n_done(path), False
    start = last
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        done = _n_done(path)
        # The first file waits for imports.
        longest = args.seconds if done > start else args.seconds + 120
        if done != last:
            begun, last = time.monotonic(), done
        elif time.monotonic() - begun > longest:
            process.kill()
            hung = True
        time.sleep(0.02 if stop - start < 500 else 0.2)
    process.returncode = os.waitstatus_to_exitcode(status)
    done = _n_done(path)
    if done < stop:
        if process.returncode > 0 and done == start and not hung:
            text = (Path(folder) / "stderr").read_text()
            raise RuntimeError(f"the process of {options} failed:\n{text[-3000:]}")
        with open(path, "r+b") as file:
            file.seek(done)
            file.write(HANG if hung else CRASH)
    return usage.ru_maxrss // 1000


def main(args=None):
    args = parse(args)
    if args.worker:
        return work(args)
    if args.keep:
        Path(args.keep).mkdir(parents=True, exist_ok=True)
    widths = [max(9, len(title) + 2) for title in _TITLES]
    titles = "".join(f"{t:>{w}s}" for t, w in zip(_TITLES, widths, strict=True))
    print(f"{'':12s}{'files':>8s}{titles}{'peak (before)':>16s}{'files/s':>9s}")
    n_bad = 0
    # A folder in memory, where there is one.
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        for kind in args.kinds:
            start = time.perf_counter()
            outcomes, before, peak = fuzz(args, kind, folder)
            rate = len(outcomes) / (time.perf_counter() - start)
            counts = Counter(outcomes)
            cells = "".join(
                f"{counts[c]:>{w},d}" for c, w in zip(_COLUMNS, widths, strict=True)
            )
            memory = f"{peak} ({before})"
            n_files = f"{len(outcomes):,d}"
            print(f"{kind:12s}{n_files:>8s}{cells}{memory:>16s}{rate:9.0f}", flush=True)
            n_bad += sum(counts[outcome] for outcome in _BAD)
        log = Path(folder) / "log"
        if log.exists():
            lines = sorted(log.read_text().splitlines(), key=len)
            print("", *lines[:60], sep="\n")
    return int(n_bad > 0)


if __name__ == "__main__":
    sys.exit(main())
