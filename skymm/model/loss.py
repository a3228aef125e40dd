"""Losses over the labelled positions only, one by one.

Full logits of a training batch are the largest tensor there is (tokens x vocabulary, in fp32), and nine in ten of their
rows have no label. So hidden states are gathered first, and the head and the cross entropy run in fp32-accurate chunks.

The caller sums, and divides once by the count of the whole global batch: cutting a batch into micro-batches, accumulation
steps or ranks then changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from skymm.encoded import IGNORE
from skymm.model.language import Head


def gathered_cross_entropy(
    hidden_BTE: Tensor,
    head: Callable[[Tensor], Tensor],
    labels_BT: Tensor,
    positions: Tensor | None = None,
    *,
    chunk_rows: int = 2048,
) -> Tensor:
    """Next-token loss: position t predicts label t + 1.

    Args:
        hidden_BTE: last hidden states of the decoder. head: hidden -> vocabulary logits. labels_BT: ids, IGNORE elsewhere.
        positions: of the labels, counted through the rows, where they are known already; without them the device is asked
            for their number.
        chunk_rows: rows projected at once; more than one chunk recomputes its logits in the backward pass.

    Returns:
        losses of the labelled positions in row-major order, fp32, shape (count,). Empty, and still with a graph, when
        nothing is labelled.
    """
    rows, labels = _gathered(hidden_BTE, labels_BT, positions)
    if len(rows) <= chunk_rows:
        return _row_losses(rows, labels, head)
    parts = [
        checkpoint(
            _row_losses, rows[start : start + chunk_rows], labels[start : start + chunk_rows], head, use_reentrant=False
        )
        for start in range(0, len(rows), chunk_rows)
    ]
    return torch.cat(parts)


def liger_cross_entropy(hidden_BTE: Tensor, head: Head, labels_BT: Tensor, positions: Tensor | None = None) -> Tensor:
    """The sum of the same losses by Liger's fused kernel; losses one by one there are none.

    Raises ValueError where it cannot run.
    """
    if not hidden_BTE.is_cuda:
        raise ValueError("liger = true needs CUDA; without it the gathered loss is what there is, and it is exact")
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError as error:
        raise ValueError("liger = true needs liger-kernel: pip install liger-kernel, or leave liger out") from error
    rows, labels = _gathered(hidden_BTE, labels_BT, positions)
    weight, bias = head.module.weight, getattr(head.module, "bias", None)
    if head.factor != 1.0:  # the kernel knows a cap and no factor
        rows, bias = rows * head.factor, None if bias is None else bias * head.factor
    return LigerFusedLinearCrossEntropyLoss(reduction="sum", softcap=head.cap)(weight, rows, labels, bias)


def _gathered(hidden_BTE: Tensor, labels_BT: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
    """Hidden states that have to predict something, and what."""
    if positions is None:
        wanted = labels_BT != IGNORE
        wanted[:, 0] = False  # nothing stands before it in its row
        positions = wanted.flatten().nonzero()[:, 0]
    return hidden_BTE.flatten(0, 1)[positions - 1], labels_BT.flatten()[positions]


def _row_losses(rows: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    return F.cross_entropy(head(rows).float(), labels, reduction="none")
