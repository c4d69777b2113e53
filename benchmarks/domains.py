"""One default on images of many kinds, against filters and forests.

Eleven tasks (_domains.py): scribbled photographs, a stained tissue, textures, a retina,
coins, membranes in an electron microscope, and photographs of Stanford Background and
PASCAL VOC. Images are learned from strokes or from whole masks. The rivals are

- filters + forest: scikit-image's multiscale features of pixels and a random forest
  (_forest.py);
- convpaint's recipe: a first convolution at three scales and a random forest
  (_convpaint.py);

and beside the default there are the library's other settings, whose best is what a user
could find by trying them all. The regret of a row is how far its mean IoU is behind the
best row of a task.

    python benchmarks/domains.py --results domains.jsonl
    python benchmarks/domains.py --tasks stain coins --seeds 0 1 2

--tasks takes beginnings of names. The data is found as for stanford_background.py;
membranes are the folder em_membranes beside it. With ``--results FILE`` every run is
appended to a file when it is done, and is not repeated.
"""

import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from _common import make_parser, measure, print_setup
from _convpaint import FirstConvolution
from _domains import TASKS
from _forest import describe_pixels, predict_forest, train_forest
from _runs import Results

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.exceptions import AbsentClassWarning

FINE = {"n_segments": 2000, "input_size": 1024}
#: The settings of the library, by the name of the row; the first is the default.
SETTINGS = {
    "default": {},
    "without pixels": {"pixels": False},
    "small superpixels": FINE,
    "local level": {"levels": ["local"]},
}
RIVALS = {
    "filters + forest": lambda: describe_pixels,
    "convpaint's recipe": FirstConvolution,
}
DEFAULT = next(iter(SETTINGS))


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--tasks", nargs="+", default=[""], help="beginnings of names")
    parser.add_argument("--rows", nargs="+", default=[*RIVALS, *SETTINGS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--test-images", type=int, help="measure on the first N")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, help="JSON lines, to resume from")
    return parser.parse_args()


def predict_rival(name, task, seed, n_jobs):
    """Train a rival and return the label maps of the test images."""
    describe = RIVALS[name]()
    train = partial(train_forest, seed=seed, n_jobs=n_jobs, describe=describe)
    return predict_forest(train(task.images, task.masks), task.test_images, describe)


def predict_setting(name, task, seed, n_jobs):
    """Train a pipeline and return the label maps of the test images."""
    model = zoomout_pipeline(**SETTINGS[name], n_jobs=n_jobs, random_state=seed)
    return model.fit(task.images, task.masks).predict(task.test_images)


def run(row, name, seed, args, results):
    """Return the record of a row on a task."""
    key = {"method": row, "task": name, "seed": seed, "test_images": args.test_images}
    record = results.find(key)
    if record is None:
        task = TASKS[name](seed)
        images, masks = (
            part[: args.test_images] for part in (task.test_images, task.test_masks)
        )
        task.test_images = images
        predict = predict_rival if row in RIVALS else predict_setting
        start = time.process_time()
        predicted = predict(row, task, seed, args.n_jobs)
        seconds = time.process_time() - start
        record = results.add(key, measure(masks, predicted).tolist(), seconds)
    scores = " / ".join(f"{score:.1f}" for score in record["scores"])
    print(
        f"{name}, {row}, seed {seed}: {scores}, {record['seconds']:.0f} s", flush=True
    )
    return record["scores"][2]


def print_cells(name, values):
    """Print a row of the table."""
    print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |")


def main():
    args = parse_arguments()
    warnings.simplefilter("ignore", AbsentClassWarning)
    print_setup(args)
    results = Results(args.results)
    names = [name for name in TASKS if name.startswith(tuple(args.tasks))]
    table = np.array(
        [
            [
                np.mean([run(row, name, s, args, results) for s in args.seeds])
                for row in args.rows
            ]
            for name in names
        ]
    )
    print("\n| mean IoU in percent | " + " | ".join(args.rows) + " |")
    print("| --- " * (len(args.rows) + 1) + "|")
    for name, scores in zip(names, table, strict=True):
        print_cells(name, scores)
    regrets = (table.max(axis=1, keepdims=True) - table).max(axis=0)
    print(
        "| worst regret | " + " | ".join(f"{regret:.1f}" for regret in regrets) + " |"
    )


if __name__ == "__main__":
    main()
