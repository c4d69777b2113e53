"""Pruning: the channels of the teacher that ZoomNet starts from."""

import torch
from torch import nn

from sklearn_zoomout.backbones.zoomnet import ZoomNet


@torch.no_grad()
def prune(student: ZoomNet, teacher: ZoomNet, batches: list[torch.Tensor]) -> None:
    """Set the student's weights from the teacher's, block after block.

    Parameters
    ----------
    student : ZoomNet
        Gets the weights.
    teacher : ZoomNet
        The larger network, of as many blocks.
    batches : list of tensors of shape (N, 3, size, size), float32
        Images in 0..1, on whose feature maps channels are chosen.
    """
    student.stem.load_state_dict(teacher.stem.state_dict())
    ours = [teacher.activation(teacher.stem(images * 2 - 1)) for images in batches]
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
            cells = torch.randperm(n_cells, generator=generator)[:1000]
            hidden.append(source.hidden(x).permute(0, 2, 3, 1).flatten(0, 2)[cells])
            target.append(wanted.permute(0, 2, 3, 1).flatten(0, 2)[cells])
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
    """Choose the columns of ``hidden`` that explain ``target`` best.

    This is orthogonal matching pursuit for many targets: a pivoted Cholesky
    factorization whose pivot is the column that lowers the squared error most.

    Parameters
    ----------
    hidden : tensor of shape (n_cells, n_channels)
        The expanded channels of a block.
    target : tensor of shape (n_cells, n_targets)
        The output of the teacher's block.
    n_kept : int
        How many columns to choose.

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
