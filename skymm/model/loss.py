"""Cross entropy over the labelled positions only, as (sum, count).

Full logits of a training batch are the largest tensor there is (tokens x vocabulary, in fp32), and nine in ten of their
rows have no label. So hidden states are gathered first, and the head and the cross entropy run in fp32-accurate chunks.

The caller divides once, by the count of the whole global batch: cutting a batch into micro-batches, accumulation steps or
ranks then changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from skymm.encoded import IGNORE
from skymm.model.examine import Head


def gathered_cross_entropy(
    hidden_BTE: Tensor, head: Callable[[Tensor], Tensor], labels_BT: Tensor, *, chunk_rows: int = 2048
) -> tuple[Tensor, Tensor]:
    """Next-token loss: position t predicts label t + 1.

    Args:
        hidden_BTE: last hidden states of the decoder. head: hidden -> vocabulary logits. labels_BT: ids, IGNORE elsewhere.
        chunk_rows: rows projected at once; more than one chunk recomputes its logits in the backward pass.

    Returns:
        losses of the labelled positions in row-major order, fp32, shape (count,), and their labels, shape (count,). Both
        are empty, and the losses still have a graph, when nothing is labelled.
    """
    wanted = labels_BT[:, 1:] != IGNORE
    rows = hidden_BTE[:, :-1][wanted]
    labels = labels_BT[:, 1:][wanted]
    if len(rows) <= chunk_rows:
        return _row_losses(rows, labels, head), labels
    parts = [
        checkpoint(
            _row_losses, rows[start : start + chunk_rows], labels[start : start + chunk_rows], head, use_reentrant=False
        )
        for start in range(0, len(rows), chunk_rows)
    ]
    return torch.cat(parts), labels


def liger_cross_entropy(hidden_BTE: Tensor, head: Head, labels_BT: Tensor) -> tuple[Tensor, int]:
    """The sum of the same losses by Liger's fused kernel, and their number; losses one by one there are none.

    Raises ValueError where it cannot run.
    """
    if not hidden_BTE.is_cuda:
        raise ValueError("liger = true needs CUDA; without it the gathered loss is what there is, and it is exact")
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError as error:
        raise ValueError("liger = true needs liger-kernel: pip install liger-kernel, or leave liger out") from error
    wanted = labels_BT[:, 1:] != IGNORE
    rows, labels = hidden_BTE[:, :-1][wanted], labels_BT[:, 1:][wanted]
    weight, bias = head.module.weight, getattr(head.module, "bias", None)
    if head.factor != 1.0:  # the kernel knows a cap and no factor
        rows, bias = rows * head.factor, None if bias is None else bias * head.factor
    loss = LigerFusedLinearCrossEntropyLoss(reduction="sum", softcap=head.cap)
    return loss(weight, rows, labels, bias), len(labels)


def _row_losses(rows: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    return F.cross_entropy(head(rows).float(), labels, reduction="none")


def words_loss(
    latents_BTE: Tensor, embedding_VE: Tensor, labels_BT: Tensor, *, temperature: float = 0.05
) -> tuple[Tensor, Tensor]:
    """How well each latent is the word it should be, in the LLM's own embedding table, without running the LLM.

    Cross entropy over the words of the batch (softmax of cosines), which tells words apart, plus twice the cosine distance
    to the right one, which moves the latent onto it: the LLM has to read it as that word, not as its nearest neighbour.

    Args:
        latents_BTE: what stands at each position. embedding_VE: the LLM's token embeddings. labels_BT: the word that each
            position should be, IGNORE where there is none. temperature: of the softmax; cosines are small numbers.

    Returns:
        losses of the labelled positions in row-major order, fp32, and their labels, as `gathered_cross_entropy` does.
    """
    wanted = labels_BT != IGNORE
    labels = labels_BT[wanted]
    vocabulary, index = labels.unique(return_inverse=True)
    words_WE = F.normalize(embedding_VE[vocabulary].float(), dim=-1)
    cosines = F.normalize(latents_BTE[wanted].float(), dim=-1) @ words_WE.T
    distance = 1 - cosines.gather(1, index[:, None])[:, 0]
    return F.cross_entropy(cosines / temperature, index, reduction="none") + 2 * distance, labels
