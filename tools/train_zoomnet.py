"""Train ZoomNet or its larger sibling, which come with the library, from a teacher.

    python tools/train_zoomnet.py --photos PHOTOS --weights WEIGHTS --out OUT
    python tools/train_zoomnet.py --network zoomnet_large ...

PHOTOS is a folder of unlabeled photographs (*.jpg). WEIGHTS is the folder of the
teacher: mobilenet_v2_tf2.safetensors, or mobilenet_edgetpu_100.safetensors for
zoomnet_large. The student has the teacher's feature maps down to stride 32, channel by
channel, with less arithmetic. It is made in two steps:

1. Pruning (_pruning.py). Each bottleneck of the teacher keeps those expanded channels
   that explain its output best. They are found by greedy selection, and the projection
   by least squares (as in ThiNet, Luo et al. 2017). Each block is pruned on the outputs
   of the pruned blocks before it.
2. Distillation. All weights are trained so that the maps equal the teacher's, on random
   crops of the photographs. The colors of the student's crops are changed. The deepest
   map also passes through the rest of the teacher, whose pooled features and class
   probabilities must agree. No label is used.

A run is determined by ``--seed`` and ``--epochs``, up to the order of floating-point
sums. It can be stopped (Ctrl-C or SIGTERM) and resumed. It writes to OUT a checkpoint,
``curve.csv`` (the errors on held-out photographs), and ``NETWORK.safetensors``: the
running average of the weights as float16, whose sha256 it prints.
"""

import argparse
import csv
import hashlib
import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from _photographs import HELD_OUT, Crops, change_colors, read_photos
from _pruning import prune
from _teacher import TEACHERS, Teacher
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from sklearn_zoomout.backbones.zoomnet import ZoomNet

CLASS_WEIGHT = 0.2
WARMUP_STEPS = 100
DECAY_FROM = 0.4  # share of the steps after which the learning rate falls to 0
AVERAGE = 0.998
REPORT_STEPS = 100
TITLES = ("step", "epoch", "minutes", "learning rate", "training loss")


class Distance:
    """The squared errors of the student's features, in units of their variance.

    Parameters
    ----------
    teacher : Teacher
        The network whose features the student's should equal.
    images : tensor of shape (N, 3, size, size), float32
        Images in 0..1, on which the variances are measured.
    """

    def __init__(self, teacher: Teacher, images: torch.Tensor) -> None:
        self.teacher = teacher
        *features, _ = teacher.outputs(images)
        self.scales = []
        for feature in features:
            dims = [d for d in range(feature.ndim) if d != 1]
            deviation = feature.std(dim=dims, keepdim=True)
            self.scales.append(deviation.clamp_min(0.1 * deviation.mean()))

    def __call__(
        self, student: ZoomNet, images: torch.Tensor, targets: tuple[torch.Tensor, ...]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Compute the mean squared error of every feature, and the class scores."""
        maps = self.teacher.compared_maps(student, images)
        pooled, scores = self.teacher.classify(maps[-1])
        errors = [
            ((ours - theirs) / scale).square().mean()
            for ours, theirs, scale in zip(
                [*maps, pooled], targets[:-1], self.scales, strict=True
            )
        ]
        return errors, scores


def total(
    errors: list[torch.Tensor], scores: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Add the errors and the divergence of the class probabilities."""
    divergence = F.kl_div(
        scores.log_softmax(1),
        target.log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return sum(errors) + CLASS_WEIGHT * divergence


def relative_adam(student: nn.Module) -> torch.optim.Optimizer:
    """Return Adam with steps relative to the size of the weights of each tensor.

    The sizes differ widely between layers, since batch normalization is folded.
    """
    groups = []
    for parameter in student.parameters():
        scale = parameter.detach().square().mean().sqrt().clamp_min(0.02).item()
        groups.append({"params": [parameter], "scale": scale})
    return torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)


def learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Return the rate of a step: it rises linearly, stays, and falls linearly to 0."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    fall = min(1.0, (1 - step / n_steps) / (1 - DECAY_FROM))
    return highest * min(rise, fall)


class Training:
    """The state of a run: weights, their running average, optimizer and progress."""

    def __init__(self, student: ZoomNet, args: argparse.Namespace) -> None:
        self.student, self.args = student, args
        self.optimizer = relative_adam(student)
        self.average = {k: t.clone() for k, t in student.state_dict().items()}
        self.step, self.minutes = 0, 0.0

    def update(self, loss: torch.Tensor, rate: float) -> None:
        """Take one step."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), self.args.clip)
        self.optimizer.step()
        self.step += 1
        keep = min(AVERAGE, self.step / (self.step + 10))
        weights = list(self.student.state_dict().values())
        torch._foreach_lerp_(list(self.average.values()), weights, 1 - keep)

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "student": self.student.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "minutes": self.minutes,
        }
        write_whole(
            lambda path: torch.save(state, path), self.args.out / "checkpoint.pt"
        )

    def resume(self) -> None:
        """Read the checkpoint."""
        state = torch.load(self.args.out / "checkpoint.pt", weights_only=True)
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.minutes = state["step"], state["minutes"]


class Evaluation:
    """The errors of the student on held-out crops.

    Parameters
    ----------
    distance : Distance
        Computes the errors.
    images : tensor of shape (N, 3, size, size), float32
        The crops, in 0..1.
    """

    def __init__(self, distance: Distance, images: torch.Tensor) -> None:
        self.distance = distance
        student = distance.teacher.student()
        self.net = student.to(memory_format=torch.channels_last).eval()
        self.batches = images.split(32)
        self.targets = [distance.teacher.outputs(batch) for batch in self.batches]

    @torch.no_grad()
    def __call__(self, weights: dict[str, torch.Tensor]) -> list[float]:
        """Return the mean errors, and how often the class is the teacher's."""
        self.net.load_state_dict(weights)
        sums = torch.zeros(len(self.distance.scales) + 1)
        for batch, targets in zip(self.batches, self.targets, strict=True):
            errors, scores = self.distance(self.net, batch, targets)
            same = (scores.argmax(1) == targets[-1].argmax(1)).float().mean()
            sums += torch.stack([*errors, same]) * len(batch)
        return (sums / sum(map(len, self.batches))).tolist()


class Curve:
    """The file of the errors on held-out photographs.

    Parameters
    ----------
    training : Training
        The run.
    evaluate : Evaluation
        Computes the errors.
    n_photos : int
        How many photographs an epoch has.
    """

    def __init__(self, training: Training, evaluate: Evaluation, n_photos: int) -> None:
        self.training, self.evaluate, self.n_photos = training, evaluate, n_photos
        self.path = training.args.out / "curve.csv"
        self.losses: list[float] = []

    def begin(self) -> None:
        """Write the titles of the columns."""
        maps = self.evaluate.distance.teacher.compared.values()
        titles = [*TITLES, *maps, "pooled", "same class"]
        self.path.write_text(",".join(titles) + "\n")

    def add(self, rate: float) -> None:
        """Write a row with the errors of the averaged weights."""
        training = self.training
        errors = self.evaluate(training.average)
        epoch = training.step * training.args.batch_size / self.n_photos
        loss = np.mean(self.losses) if self.losses else np.nan
        row = [training.step, f"{epoch:.2f}", f"{training.minutes:.1f}", f"{rate:.1e}"]
        row += [f"{value:.4f}" for value in (loss, *errors)]
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        print(*row, flush=True)
        self.losses.clear()


def distill(
    training: Training, distance: Distance, crops: Crops, held_out: Crops
) -> None:
    """Train until the last epoch or a signal."""
    args, teacher = training.args, distance.teacher
    n_steps = round(args.epochs * len(crops.photos) / args.batch_size)
    evaluate = Evaluation(distance, held_out.batch(0, len(held_out.photos)))
    curve = Curve(training, evaluate, len(crops.photos))
    stop: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    started = saved = time.monotonic() - 60 * training.minutes
    rate = 0.0
    if training.step == 0:
        curve.begin()
        curve.add(rate)
    while training.step < n_steps and not stop:
        images = crops.batch(training.step, args.batch_size)
        generator = torch.Generator().manual_seed(args.seed << 32 | training.step)
        targets = teacher.outputs(images)
        changed = change_colors(images, generator)
        errors, scores = distance(training.student, changed, targets)
        loss = total(errors, scores, targets[-1])
        curve.losses.append(loss.item())
        if not np.isfinite(curve.losses[-1]):
            raise FloatingPointError(f"loss {loss.item()} at step {training.step}")
        rate = learning_rate(training.step, n_steps, args.learning_rate)
        training.update(loss, rate)
        training.minutes = (time.monotonic() - started) / 60
        if training.step % REPORT_STEPS == 0:
            curve.add(rate)
        if time.monotonic() - saved > 120:
            training.save()
            saved = time.monotonic()
    curve.add(rate)
    training.save()


def write_whole(write, path: Path) -> None:
    """Write to a temporary file and rename it, so that no partial file is left."""
    temporary = path.with_suffix(".part")
    write(temporary)
    os.replace(temporary, path)


def sha256(path: Path) -> str:
    """Return the hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export(training: Training, teacher: type[Teacher], n_photos: int) -> None:
    """Write the averaged weights as float16, with metadata of the run."""
    args = training.args
    weights = args.weights / f"{teacher.name}.safetensors"
    metadata = {
        "network": f"sklearn_zoomout.backbones.zoomnet.{teacher.student.__name__}",
        "preprocessing": "RGB, scaled to -1..1",
        "seed": str(args.seed),
        "steps": str(training.step),
        "batch_size": str(args.batch_size),
        "crop_size": str(args.size),
        "photographs": str(n_photos),
        "teacher": f"{teacher.name}, sha256 {sha256(weights)}",
        "licence": f"Apache-2.0; derived from {teacher.origin} by pruning and "
        "distillation",
    }
    tensors = {name: t.half().contiguous() for name, t in training.average.items()}
    path = args.out / f"{args.network}.safetensors"
    write_whole(lambda temporary: save_file(tensors, temporary, metadata), path)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {sha256(path)}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=list(TEACHERS), default="zoomnet")
    parser.add_argument("--photos", type=Path, required=True, help="folder of *.jpg")
    parser.add_argument(
        "--weights", type=Path, required=True, help="folder of the teacher"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--size", type=int, default=160, help="side of the crops")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--clip", type=float, default=1.0, help="largest norm of gradients"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--resume", action="store_true", help="go on from OUT/checkpoint.pt"
    )
    return parser.parse_args()


def main() -> None:
    """Prune, distill and export."""
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    cv2.setNumThreads(1)
    photos = read_photos(args.photos)
    trained_on = [p for i, p in enumerate(photos) if i % HELD_OUT]
    crops = Crops(trained_on, args.size, args.seed)
    held_out = Crops(photos[::HELD_OUT], args.size, seed=0)

    teacher_type = TEACHERS[args.network]
    teacher = teacher_type(args.weights / f"{teacher_type.name}.safetensors")
    batches = [
        Crops(trained_on, args.size, args.seed + 1).batch(i, 32) for i in range(16)
    ]
    distance = Distance(teacher, torch.cat(batches[:8]))
    student = teacher.student().to(memory_format=torch.channels_last)
    if not args.resume:
        prune(student, teacher.trunk, batches)
    training = Training(student, args)
    if args.resume:
        training.resume()
    distill(training, distance, crops, held_out)
    export(training, teacher_type, len(trained_on))


if __name__ == "__main__":
    main()
