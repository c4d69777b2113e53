"""Train ZoomNet, the network that comes with the library, from a larger one.

    python tools/train_zoomnet.py --photos PHOTOS --weights WEIGHTS --out OUT

PHOTOS is a folder of unlabeled photographs (*.jpg), WEIGHTS the folder that holds
mobilenet_v2_tf2.safetensors, the teacher. ZoomNet has the teacher's maps down to stride
32, channel by channel, at four fifths of its arithmetic. It is made in two steps:

1. Pruning. From every bottleneck of the teacher those expanded channels are kept that
   explain its output best, by greedy selection, and the projection is solved by least
   squares (as in ThiNet, Luo et al. 2017), each block on the outputs of the pruned
   blocks before it.
2. Distillation. All weights are trained so that the maps equal the teacher's, on
   random crops of the photographs that the student sees in changed colors. The deepest
   map also passes through the rest of the teacher, whose pooled features and class
   probabilities must agree. No label is used.

A run is determined by ``--seed`` and ``--epochs``, up to the order of floating-point
sums. It can be stopped (Ctrl-C or SIGTERM) and resumed. It writes to OUT a checkpoint,
``curve.csv`` (the errors on held-out photographs), and ``zoomnet.safetensors``: the
running average of the weights as float16, whose sha256 it prints.
"""

import argparse
import csv
import hashlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from sklearn_zoomout.backbones.zoomnet import ZoomNet
from sklearn_zoomout.backbones.zoomnet._network import Bottleneck

TEACHER = "mobilenet_v2_tf2"
TEACHER_BLOCKS = (
    *((16, 32, 1), (24, 96, 2), (24, 144, 1), (32, 144, 2), (32, 192, 1)),
    *((32, 192, 1), (64, 192, 2), (64, 384, 1), (64, 384, 1), (64, 384, 1)),
    *((96, 384, 1), (96, 576, 1), (96, 576, 1), (160, 576, 2), (160, 960, 1)),
    (160, 960, 1),
)
#: Blocks whose outputs are compared: the last of every width.
COMPARED = {
    2: "stride 4",
    5: "stride 8",
    9: "stride 16 (64 channels)",
    12: "stride 16 (96 channels)",
    15: "stride 32",
}
CLASS_WEIGHT = 0.2
WARMUP_STEPS = 100
DECAY_FROM = 0.4  # of all steps; from there the learning rate falls to zero
AVERAGE = 0.998
REPORT_STEPS = 200
HELD_OUT = 25  # every 25th photograph is never trained on
CURVE = [
    *("step", "epoch", "minutes", "learning rate", "training loss"),
    *COMPARED.values(),
    *("pooled", "same class"),
]


# Photographs


class Crops:
    """Batches of random crops, the same for the same seed, number and photographs."""

    def __init__(self, photos: list[np.ndarray], size: int, seed: int) -> None:
        self.photos, self.size, self.seed = photos, size, seed
        self.pool = ThreadPoolExecutor(2)

    def batch(self, number: int, batch_size: int) -> torch.Tensor:
        """Cut out batch `number`, (batch_size, 3, size, size), float32 in 0..1."""
        first = number * batch_size
        crops = self.pool.map(self._crop, range(first, first + batch_size))
        images = torch.from_numpy(np.stack(list(crops))).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last).float() / 255

    def _crop(self, number: int) -> np.ndarray:
        epoch, place = divmod(number, len(self.photos))
        order = np.random.default_rng([self.seed, 0, epoch])
        photo = self.photos[order.permutation(len(self.photos))[place]]
        return random_crop(photo, self.size, np.random.default_rng([self.seed, number]))


def read_photos(folder: Path) -> list[np.ndarray]:
    """Read all JPEG files of a folder, still compressed."""
    paths = sorted(folder.glob("*.jpg"))
    if len(paths) < 2 * HELD_OUT:
        raise FileNotFoundError(
            f"--photos: expected at least {2 * HELD_OUT} *.jpg in {str(folder)!r}, "
            f"found {len(paths)}."
        )
    return [np.fromfile(path, np.uint8) for path in paths]


def random_crop(jpeg: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Cut out a random rectangle, resized to (size, size, 3) uint8, maybe mirrored.

    It is shrunk up to 1.7 times or magnified up to 3 times, since the library looks
    at small images magnified.
    """
    photo = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
    side = size / np.exp(rng.uniform(np.log(0.6), np.log(3.0)))
    aspect = np.exp(rng.uniform(-0.2, 0.2))
    height = int(min(side * aspect, photo.shape[0]))
    width = int(min(side / aspect, photo.shape[1]))
    top = rng.integers(photo.shape[0] - height + 1)
    left = rng.integers(photo.shape[1] - width + 1)
    crop = photo[top : top + height, left : left + width]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    method = cv2.INTER_AREA if max(height, width) > size else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=method)


def change_colors(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change saturation, contrast, white balance and brightness of each image."""
    shape = (len(images), 1, 1)

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        uniform = torch.rand(shape[0], channels, 1, generator=generator)
        return low + (high - low) * uniform

    saturation = draw(0.5, 1.5)
    gain = draw(0.7, 1.4) * draw(0.92, 1.08, channels=3)
    offset = draw(-0.12, 0.12) + 0.45 * (1 - gain)
    gray = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    matrix = gain * (saturation * torch.eye(3) + (1 - saturation) * gray)
    pixels = images.flatten(2)
    changed = torch.baddbmm(offset.expand(-1, 3, 1), matrix, pixels)
    changed = changed.view(images.shape).clamp_(0, 1)
    return changed.contiguous(memory_format=torch.channels_last)


# The teacher


class Teacher(nn.Module):
    """MobileNetV2: the part that ZoomNet replaces, and the rest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.trunk = ZoomNet(TEACHER_BLOCKS)
        self.rest = Bottleneck(160, 960, 320, stride=1, late=False)
        self.head = nn.Conv2d(320, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)
        self._load({name: t.float() for name, t in load_file(path).items()})
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take torchvision's names; the batch normalization is folded already."""

        def fill(conv: nn.Module, name: str, norm: str) -> None:
            weights = {"weight": tensors[f"{name}.weight"]}
            scale = tensors[f"{norm}.weight"] / tensors[f"{norm}.running_var"].sqrt()
            if (scale - 1).abs().max() > 1e-4 or tensors[f"{norm}.running_mean"].any():
                raise ValueError(f"{norm} is not folded into {name}.")
            conv.load_state_dict(weights | {"bias": tensors[f"{norm}.bias"]})

        fill(self.trunk.stem, "features.0.0", "features.0.1")
        for i, block in enumerate([*self.trunk.blocks, self.rest], start=1):
            name = f"features.{i}.conv"
            convs = [c for c in block.children() if isinstance(c, nn.Conv2d)]
            for j, conv in enumerate(convs[:-1]):
                fill(conv, f"{name}.{j}.0", f"{name}.{j}.1")
            n = len(convs) - 1
            fill(convs[-1], f"{name}.{n}", f"{name}.{n + 1}")
        fill(self.head, "features.18.0", "features.18.1")
        parts = ("weight", "bias")
        last = {part: tensors[f"classifier.1.{part}"] for part in parts}
        self.classifier.load_state_dict(last)

    def judge(self, deepest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute pooled features and class scores from the map at stride 32."""
        pooled = F.relu6(self.head(self.rest(deepest))).mean(dim=(2, 3))
        return pooled, self.classifier(pooled)

    @torch.no_grad()
    def answers(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute the compared maps, pooled features and class scores."""
        maps = compared_maps(self.trunk, images)
        return *maps, *self.judge(maps[-1])


def compared_maps(net: ZoomNet, images: torch.Tensor) -> list[torch.Tensor]:
    """Compute the maps of `COMPARED`, from RGB in 0..1."""
    x = F.relu6(net.stem(images * 2 - 1), inplace=True)
    maps = []
    for i, block in enumerate(net.blocks):
        x = block(x)
        if i in COMPARED:
            maps.append(x)
    return maps


# Pruning


@torch.no_grad()
def prune(student: ZoomNet, teacher: ZoomNet, batches: list[torch.Tensor]) -> None:
    """Set the student's weights from the teacher's, block after block."""
    student.stem.load_state_dict(teacher.stem.state_dict())
    ours = [F.relu6(teacher.stem(images * 2 - 1)) for images in batches]
    theirs = list(ours)
    for i, (block, source) in enumerate(
        zip(student.blocks, teacher.blocks, strict=True)
    ):
        hidden, target = [], []
        generator = torch.Generator().manual_seed(i)
        for j, (x, y) in enumerate(zip(ours, theirs, strict=True)):
            theirs[j] = source(y)
            wanted = theirs[j] - x if block.residual else theirs[j]
            n_cells = wanted[:, 0].numel()
            some = torch.randperm(n_cells, generator=generator)[:1000]
            hidden.append(source.hidden(x).permute(0, 2, 3, 1).flatten(0, 2)[some])
            target.append(wanted.permute(0, 2, 3, 1).flatten(0, 2)[some])
        width = block.project.in_channels
        kept, weight, bias = choose_channels(
            torch.cat(hidden), torch.cat(target), width
        )
        for conv, full in zip(block.children(), source.children(), strict=True):
            if conv is not block.project and isinstance(conv, nn.Conv2d):
                conv.weight.copy_(full.weight[kept])
                conv.bias.copy_(full.bias[kept])
        block.project.weight.copy_(weight[:, :, None, None])
        block.project.bias.copy_(bias)
        ours = [block(x) for x in ours]
        error = sum((a - b).square().sum() for a, b in zip(ours, theirs, strict=True))
        whole = torch.cat([y.permute(0, 2, 3, 1).flatten(0, 2) for y in theirs])
        share = error / (whole - whole.mean(0)).square().sum()
        print(f"block {i}: {width} channels kept, {100 * share:.1f} % unexplained")


def choose_channels(
    hidden: torch.Tensor, target: torch.Tensor, n_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Choose the columns of `hidden` that explain `target` best.

    Orthogonal matching pursuit for many targets: a pivoted Cholesky factorization
    whose pivot is the column that lowers the squared error most.

    Returns
    -------
    kept : tensor of shape (n_kept,)
        Columns, ascending.
    weight : tensor of shape (n_targets, n_kept)
    bias : tensor of shape (n_targets,)
        The least-squares solution on these columns.
    """
    hidden, target = hidden.double(), target.double()
    hidden_mean, target_mean = hidden.mean(0), target.mean(0)
    hidden, target = hidden - hidden_mean, target - target_mean
    scale = target.std(0).clamp_min(1e-9)
    gram = hidden.T @ hidden
    gram.diagonal().add_(3e-4 * gram.diagonal().mean())
    cross = hidden.T @ (target / scale)
    g, c = gram.clone(), cross.clone()
    chosen: list[int] = []
    for _ in range(n_kept):
        gain = c.square().sum(1) / g.diagonal().clamp_min(1e-12)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        factor = g[:, best] / g[best, best]
        c -= factor[:, None] * c[best]
        g -= factor[:, None] * g[best]
    kept = torch.tensor(sorted(chosen))
    solution = torch.linalg.solve(gram[kept][:, kept], cross[kept])
    weight = (solution * scale).T
    bias = target_mean - weight @ hidden_mean[kept]
    return kept, weight.float(), bias.float()


# Distillation


class Distance:
    """How far the student's maps are from the teacher's, in units of variance."""

    def __init__(self, teacher: Teacher, images: torch.Tensor) -> None:
        self.teacher = teacher
        *features, _ = teacher.answers(images)
        self.scales = []
        for feature in features:
            dims = [d for d in range(feature.ndim) if d != 1]
            deviation = feature.std(dim=dims, keepdim=True)
            self.scales.append(deviation.clamp_min(0.1 * deviation.mean()))

    def __call__(
        self, student: ZoomNet, images: torch.Tensor, answers: tuple[torch.Tensor, ...]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Compute the mean squared error of every feature, and the class scores."""
        maps = compared_maps(student, images)
        pooled, scores = self.teacher.judge(maps[-1])
        errors = [
            ((ours - theirs) / scale).square().mean()
            for ours, theirs, scale in zip(
                [*maps, pooled], answers[:-1], self.scales, strict=True
            )
        ]
        return errors, scores


def total(errors: list[torch.Tensor], scores: torch.Tensor, wanted: torch.Tensor):
    """Add the errors and the divergence of the class probabilities."""
    divergence = F.kl_div(
        scores.log_softmax(1),
        wanted.log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return sum(errors) + CLASS_WEIGHT * divergence


def relative_adam(student: nn.Module) -> torch.optim.Optimizer:
    """Adam whose steps are relative to the size of each tensor's weights.

    The sizes differ widely between layers, since batch normalization is folded.
    """
    groups = []
    for parameter in student.parameters():
        scale = parameter.detach().square().mean().sqrt().clamp_min(0.02).item()
        groups.append({"params": [parameter], "scale": scale})
    return torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)


def learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Rise linearly, stay, and fall linearly to zero."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    fall = min(1.0, (1 - step / n_steps) / (1 - DECAY_FROM))
    return highest * min(rise, fall)


class Training:
    """The state of a run: weights, their running average, optimizer, progress."""

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
        """Write the checkpoint, whole or not at all."""
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


@torch.no_grad()
def examine(student, distance, images, answers) -> list[float]:
    """Mean errors on held-out crops, and how often the class is the teacher's."""
    sums = torch.zeros(len(COMPARED) + 2)
    for first in range(0, len(images), 32):
        part = slice(first, first + 32)
        wanted = tuple(a[part] for a in answers)
        errors, scores = distance(student, images[part], wanted)
        same = (scores.argmax(1) == wanted[-1].argmax(1)).float().mean()
        sums += torch.stack([*errors, same]) * len(images[part])
    return (sums / len(images)).tolist()


def distil(
    training: Training, distance: Distance, crops: Crops, held_out: Crops
) -> None:
    """Train until the last epoch, the time limit or a signal."""
    args, teacher = training.args, distance.teacher
    n_steps = round(args.epochs * len(crops.photos) / args.batch_size)
    exam = held_out.batch(0, len(held_out.photos))
    parts = [teacher.answers(part) for part in exam.split(32)]
    answers = tuple(torch.cat(column) for column in zip(*parts, strict=True))
    judge = ZoomNet().to(memory_format=torch.channels_last).eval()
    stop: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    started = saved = time.monotonic() - 60 * training.minutes
    losses: list[float] = []
    rate = 0.0

    def report() -> None:
        judge.load_state_dict(training.average)
        results = examine(judge, distance, exam, answers)
        epoch = training.step * args.batch_size / len(crops.photos)
        loss = np.mean(losses) if losses else np.nan
        row = [training.step, f"{epoch:.2f}", f"{training.minutes:.1f}", f"{rate:.1e}"]
        row += [f"{value:.4f}" for value in (loss, *results)]
        with (args.out / "curve.csv").open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        print(*row, flush=True)
        losses.clear()

    if training.step == 0:
        (args.out / "curve.csv").write_text(",".join(CURVE) + "\n")
        report()
    while training.step < n_steps and not stop:
        images = crops.batch(training.step, args.batch_size)
        generator = torch.Generator().manual_seed(args.seed << 32 | training.step)
        wanted = teacher.answers(images)
        errors, scores = distance(
            training.student, change_colors(images, generator), wanted
        )
        loss = total(errors, scores, wanted[-1])
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(f"loss {losses[-1]} at step {training.step}")
        rate = learning_rate(training.step, n_steps, args.learning_rate)
        training.update(loss, rate)
        training.minutes = (time.monotonic() - started) / 60
        if training.step % REPORT_STEPS == 0:
            report()
        if time.monotonic() - saved > 120:
            training.save()
            saved = time.monotonic()
    report()
    training.save()


# Files


def write_whole(write, path: Path) -> None:
    """Write to a temporary file, then rename it, so that no half file is left."""
    temporary = path.with_suffix(".part")
    write(temporary)
    os.replace(temporary, path)


def sha256(path: Path) -> str:
    """Compute the hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export(training: Training, n_photos: int) -> None:
    """Write the averaged weights as float16 with their history."""
    args = training.args
    teacher = args.weights / f"{TEACHER}.safetensors"
    metadata = {
        "network": "sklearn_zoomout.backbones.zoomnet.ZoomNet",
        "preprocessing": "RGB, scaled to -1..1",
        "seed": str(args.seed),
        "steps": str(training.step),
        "batch_size": str(args.batch_size),
        "crop_size": str(args.size),
        "photographs": str(n_photos),
        "teacher": f"{TEACHER}, sha256 {sha256(teacher)}",
        "licence": "Apache-2.0; derived from google-coral/test_data@104342d "
        "tf2_mobilenet_v2_1.0_224_ptq.tflite by pruning and distillation",
    }
    tensors = {name: t.half().contiguous() for name, t in training.average.items()}
    path = args.out / "zoomnet.safetensors"
    write_whole(lambda temporary: save_file(tensors, temporary, metadata), path)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {sha256(path)}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of *.jpg")
    parser.add_argument("--weights", type=Path, required=True, help="teacher's folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--size", type=int, default=160, help="side of the crops")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--clip", type=float, default=1.0, help="norm of gradients")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--resume", action="store_true", help="from OUT/checkpoint.pt")
    return parser.parse_args()


def main() -> None:
    """Prune, distil, export."""
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    cv2.setNumThreads(1)
    photos = read_photos(args.photos)
    trained_on = [p for i, p in enumerate(photos) if i % HELD_OUT]
    crops = Crops(trained_on, args.size, args.seed)
    held_out = Crops(photos[::HELD_OUT], args.size, seed=0)

    teacher = Teacher(args.weights / f"{TEACHER}.safetensors")
    batches = [
        Crops(trained_on, args.size, args.seed + 1).batch(i, 32) for i in range(16)
    ]
    distance = Distance(teacher, torch.cat(batches[:8]))
    student = ZoomNet().to(memory_format=torch.channels_last)
    if not args.resume:
        prune(student, teacher.trunk, batches)
    training = Training(student, args)
    if args.resume:
        training.resume()
    distil(training, distance, crops, held_out)
    export(training, len(trained_on))


if __name__ == "__main__":
    main()
