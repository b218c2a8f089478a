"""A small anchor-free detector in PyTorch, in the shape of the YOLOv8 family, for square inputs.

Two levels (strides 8 and 16). Each cell of a level gives 4 distances to the sides of a box, each as a distribution
over BINS whole cells, and one logit for each class.
"""
import torch
from torch import nn
from torch.nn import functional

BINS = 8
STRIDES = (8, 16)


class Conv(nn.Sequential):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, c_in, c_out, kernel=3, stride=1):
        padding = (kernel - stride + 1) // 2  # the output has 1 / stride of the input's side
        super().__init__(nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False),
                         nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.05), nn.SiLU())


class Split(nn.Module):
    """Two halves; a residual bottleneck on the second; all three parts joined again."""

    def __init__(self, c_in, c_out):
        super().__init__()
        half = c_out // 2
        self.enter, self.leave = Conv(c_in, 2 * half, 1), Conv(3 * half, c_out, 1)
        self.bottleneck = nn.Sequential(Conv(half, half), Conv(half, half))

    def forward(self, x):
        a, b = self.enter(x).chunk(2, 1)
        return self.leave(torch.cat((a, b, b + self.bottleneck(b)), 1))


class Pyramid(nn.Module):
    """Pooling over growing windows."""

    def __init__(self, channels):
        super().__init__()
        self.enter, self.leave = Conv(channels, channels // 2, 1), Conv(channels * 2, channels, 1)

    def forward(self, x):
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.leave(torch.cat(parts, 1))


class Detector(nn.Module):
    def __init__(self, classes, side):
        super().__init__()
        self.classes, self.side = classes, side
        self.stem = Conv(3, 32, 6, 4)
        self.fine = nn.Sequential(Conv(32, 48, 3, 2), Split(48, 48))
        self.coarse = nn.Sequential(Conv(48, 80, 3, 2), Split(80, 80), Pyramid(80))
        self.merge = Split(48 + 80, 48)
        self.box = nn.ModuleList(nn.Sequential(Conv(c, 32), nn.Conv2d(32, 4 * BINS, 1)) for c in (48, 80))
        self.kind = nn.ModuleList(nn.Sequential(Conv(c, 48), nn.Conv2d(48, classes, 1)) for c in (48, 80))
        for head in self.kind:
            nn.init.constant_(head[-1].bias, -5.0)  # few cells hold a digit
        centres, strides = cells(side)
        self.register_buffer("centres", centres.T[None], persistent=False)     # [1, 2, A]
        self.register_buffer("strides", strides[None, None], persistent=False)  # [1, 1, A]
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32).reshape(1, BINS, 1, 1), persistent=False)

    def raw(self, x):
        """Side distributions [B, 4 * BINS, A] and class logits [B, classes, A]."""
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        fine = self.merge(torch.cat((functional.interpolate(coarse, scale_factor=2.0), fine), 1))
        levels = (fine, coarse)
        sides = [head(level).flatten(2) for head, level in zip(self.box, levels)]
        kinds = [head(level).flatten(2) for head, level in zip(self.kind, levels)]
        return torch.cat(sides, 2), torch.cat(kinds, 2)

    def corners(self, sides):
        """Boxes [B, 4, A] as corners in pixels of the input."""
        shares = sides.reshape(-1, 4, BINS, sides.shape[2]).transpose(1, 2).softmax(1)  # [B, BINS, 4, A]
        distance = functional.conv2d(shares, self.bins)[:, 0] * self.strides
        return torch.cat((self.centres - distance[:, :2], self.centres + distance[:, 2:]), 1)

    def forward(self, x):
        """[B, 4 + classes, A]: centre x, centre y, width, height in pixels, then one score (0..1) for each class."""
        sides, kinds = self.raw(x)
        low, high = self.corners(sides).split(2, 1)
        return torch.cat(((low + high) / 2, high - low, kinds.sigmoid()), 1)


def cells(side):
    """Centres [A, 2] in pixels and strides [A] of all cells: level by level, row by row."""
    centres, strides = [], []
    for stride in STRIDES:
        at = (torch.arange(side // stride, dtype=torch.float32) + 0.5) * stride
        y, x = torch.meshgrid(at, at, indexing="ij")
        centres.append(torch.stack((x, y), 2).reshape(-1, 2))
        strides.append(torch.full((len(at) ** 2,), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def iou(a, b):
    """Of boxes [..., 4] as corners, pairwise along the leading dimensions."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    area = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return common / (area - common + 1e-7)
