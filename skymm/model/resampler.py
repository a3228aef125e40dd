"""Perceiver resampler: any number of patch features in, exactly K latents out, ready to stand among word embeddings.

Shape legend: B images, N patches (all towers together), K latents, D width, C tower width, E embedding width of the LLM,
H heads, G patches of the finest grid.

After Flamingo (Alayrac et al. 2022, arXiv 2204.14198): latents attend to the patches and to themselves, layer by layer.
That K never changes is what makes an image a *structure* of the prompt instead of a number of placeholders to get right.

Several towers are mixed in one of three ways. Joint: latents attend to the patches of all. Interleaved and additive are the
mixtures of features of Tong et al. 2024 (MMVP, arXiv 2401.06209), with resamplers where they have linear layers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resampler_of(*, mixing: str = "joint", weights: list[float] | None = None, **sizes: Any) -> nn.Module:
    """A new resampler as a recipe describes it (`ResamplerRecipe`, which has checked it); `sizes`: see PerceiverResampler.

    Models from before there were other mixtures say nothing of `mixing`, and are joint.
    """
    if mixing == "interleaved":
        return InterleavedResampler(**sizes)
    return AdditiveResampler(weights=weights, **sizes) if mixing == "additive" else PerceiverResampler(**sizes)


class PerceiverResampler(nn.Module):
    """Patch features (B, N, C) of one or several towers -> latents (B, K, E).

    Args:
        grids: (rows, columns) of each tower's patches; every patch position of every tower gets a learned vector.
        context_widths: C of each tower; each has its own projection into the common width.
        num_latents: K, the number of LLM positions an image takes.
        width: D. num_heads: heads of D / num_heads. num_layers: cross-attention blocks.
        embedding_width: E.
        embedding_rms: root mean square of the LLM's token embeddings: latents start out as loud as words are.
        dropout: of the towers' features while training. A few thousand pictures are soon known by heart by single features.
    """

    def __init__(
        self,
        *,
        grids: list[tuple[int, int]],
        context_widths: list[int],
        num_latents: int,
        num_layers: int,
        num_heads: int,
        width: int,
        embedding_width: int,
        embedding_rms: float = 1.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        if width % num_heads:
            raise ValueError(f"resampler: width {width} is not a multiple of num_heads {num_heads}")
        self.num_latents, self.dropout = num_latents, dropout
        self.num_patches = [rows * columns for rows, columns in grids]
        # Without weights: the projection that follows has them, and frozen features then need no backward pass here.
        self.context_norms = nn.ModuleList(nn.LayerNorm(size, elementwise_affine=False) for size in context_widths)
        self.context_projections = nn.ModuleList(nn.Linear(size, width) for size in context_widths)
        self.positions = nn.ParameterList(nn.Parameter(torch.empty(size, width)) for size in self._position_counts())
        self.context_norm = nn.LayerNorm(width)
        self.latents = nn.Parameter(torch.empty(num_latents, width))
        self.layers = nn.ModuleList(_Block(width, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, embedding_width, bias=False)
        self.scale = nn.Parameter(torch.tensor(float(embedding_rms)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for positions in self.positions:
            nn.init.trunc_normal_(positions, std=0.5)
        # Far enough apart that each latent finds work of its own from the first step.
        nn.init.trunc_normal_(self.latents, std=1.0)

    def forward(self, features_BNC: list[Tensor]) -> Tensor:
        """Features of each tower, in the order of `grids`, -> latents (B, K, E) in the resampler's own dtype.

        Raises ValueError when a tower's patch count is not the one this resampler was built for.
        """
        context_BND = self.context_norm(self.context(self.project(features_BNC)))
        latents_BKD = self.latents.expand(context_BND.shape[0], -1, -1)
        for layer in self.layers:
            latents_BKD = layer(latents_BKD, context_BND)
        return F.rms_norm(self.output(self.norm(latents_BKD)), (self.output.out_features,)) * self.scale

    def project(self, features_BNC: list[Tensor]) -> list[Tensor]:
        """Features of each tower in the common width, (B, N, D)."""
        projected = []
        for index, (features, expected) in enumerate(zip(features_BNC, self.num_patches, strict=True)):
            if features.shape[1] != expected:
                raise ValueError(
                    f"resampler: tower {index} gave {features.shape[1]} patches, expected {expected}; "
                    "is the image size the one in the configuration?"
                )
            normed = self.context_norms[index](features.to(self.latents.dtype))
            normed = F.dropout(normed, self.dropout, self.training)
            projected.append(self.context_projections[index](normed))
        return projected

    def context(self, projected_BND: list[Tensor]) -> Tensor:
        """What latents attend to: the patches of all towers in one row, each with its place."""
        return torch.cat([one + positions for one, positions in zip(projected_BND, self.positions)], dim=1)

    def _position_counts(self) -> list[int]:
        return self.num_patches


class InterleavedResampler(nn.Module):
    """Each tower has a resampler of its own with K / n latents; they take turns: of two towers `out[0::2]` and `out[1::2]`.

    Neither tower can drown out the other, and K stays what it is. Arguments as of PerceiverResampler.
    """

    def __init__(
        self, *, grids: list[tuple[int, int]], context_widths: list[int], num_latents: int, **sizes: Any
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleList(
            PerceiverResampler(grids=[grid], context_widths=[width], num_latents=num_latents // len(grids), **sizes)
            for grid, width in zip(grids, context_widths, strict=True)
        )

    def forward(self, features_BNC: list[Tensor]) -> Tensor:
        """See PerceiverResampler.forward. Each tower's latents keep their order."""
        latents = [tower([features]) for tower, features in zip(self.towers, features_BNC, strict=True)]
        return torch.stack(latents, dim=2).flatten(1, 2)


class AdditiveResampler(PerceiverResampler):
    """One resampler over the weighted sum of the towers' projected features: half the context, and each place is one place.

    The grids of all towers are resampled to the finest one (bilinear, pixel centres aligned as in `F.interpolate`), whose
    places have one set of positions. `weights`: one for each tower, made to sum to 1; None: equal.
    """

    def __init__(self, *, grids: list[tuple[int, int]], weights: list[float] | None = None, **sizes: Any) -> None:
        super().__init__(grids=grids, **sizes)
        weights = weights or [1.0] * len(grids)
        self.weights = [weight / sum(weights) for weight in weights]
        finest = max(grids, key=lambda grid: grid[0] * grid[1])
        self.fits = [grid == finest for grid in grids]
        # As matrices, since the gradient of F.interpolate has no fixed order of sums on a GPU, and resuming would show it.
        for index, (rows, columns) in enumerate(grids):
            each_N1hw = torch.eye(rows * columns).view(-1, 1, rows, columns)
            matrix_GN = F.interpolate(each_N1hw, size=finest, mode="bilinear").flatten(1).T
            self.register_buffer(f"resample_{index}", matrix_GN.contiguous(), persistent=False)

    def context(self, projected_BND: list[Tensor]) -> Tensor:
        """(B, G, D)"""
        summed = self.positions[0]
        for index, one_BND in enumerate(projected_BND):
            fitted = one_BND if self.fits[index] else self.get_buffer(f"resample_{index}") @ one_BND
            summed = summed + self.weights[index] * fitted
        return summed

    def _position_counts(self) -> list[int]:
        return [max(self.num_patches)]


class _Block(nn.Module):
    """One round of looking: latents attend to patches and latents, then think. Pre-norm, residual."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.latent_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, latents_BKD: Tensor, context_BND: Tensor) -> Tensor:
        normed = self.latent_norm(latents_BKD)
        seen = torch.cat([context_BND, normed], dim=1)
        query = self._heads(self.query(normed))
        key, value = (self._heads(part) for part in self.key_value(seen).chunk(2, dim=-1))
        latents_BKD = latents_BKD + self.merge(_attend(query, key, value).transpose(1, 2).flatten(2))
        return latents_BKD + self.mlp(self.mlp_norm(latents_BKD))

    def _heads(self, x_BLD: Tensor) -> Tensor:
        return x_BLD.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


def _attend(query_BHKd: Tensor, key_BHNd: Tensor, value_BHNd: Tensor) -> Tensor:
    if query_BHKd.device.type != "cpu":
        return F.scaled_dot_product_attention(query_BHKd, key_BHNd, value_BHNd)
    # For a few dozen latents torch's fused CPU kernel is the slower one: its backward pass takes half of a step.
    scores_BHKN = (query_BHKd * query_BHKd.shape[-1] ** -0.5) @ key_BHNd.transpose(-1, -2)
    return scores_BHKN.softmax(dim=-1, dtype=torch.float32).to(value_BHNd.dtype) @ value_BHNd
