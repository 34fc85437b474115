"""Log-probabilities of answer tokens, and nothing else: the head sees answer positions only, a slice at a time.

Axes: N answer tokens, D width of the model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sft.attention import forward_arguments
from sft.packing import PackedBatch

SLICE_ELEMENTS = 2**27
"""Logits held at once, in numbers: half a GiB of fp32. Above it they are made again in the backward pass."""


class Scores(NamedTuple):
    """log_probs_N: log π of the target, with gradient; entropy_N: of the whole distribution; top_N: is it the best?"""

    log_probs_N: Tensor
    entropy_N: Tensor
    top_N: Tensor


def answer_hidden(causal_lm: Any, packed: PackedBatch) -> Tensor:
    """(N, D): the decoder's output at the positions that predict answer tokens. Needs `sft.attention.install`."""
    hidden_MD = causal_lm.get_decoder()(
        input_ids=packed.ids_M[None],
        position_ids=packed.positions_M[None],
        use_cache=False,
        **forward_arguments(packed.spans, packed.ids_M.device),
    ).last_hidden_state[0]
    return hidden_MD[packed.predictors_N]


def score_answers(
    hidden_ND: Tensor,
    head: Callable[[Tensor], Tensor],
    targets_N: Tensor,
    temperature: float = 1.0,
    learn_entropy: bool = False,
    slice_elements: int = SLICE_ELEMENTS,
) -> Scores:
    """Scores of the targets under softmax(head(hidden) / temperature), in fp32.

    learn_entropy: the entropy, too, carries a gradient. Slices change memory, not the result.
    """

    def scores(hidden_ND: Tensor, targets_N: Tensor) -> Scores:
        log_softmax_NV = (head(hidden_ND).float() / temperature).log_softmax(-1)
        with torch.set_grad_enabled(learn_entropy and torch.is_grad_enabled()):
            entropy_N = -(log_softmax_NV.exp() * log_softmax_NV).sum(-1)
        top_N = log_softmax_NV.detach().argmax(-1) == targets_N
        return Scores(log_softmax_NV.gather(1, targets_N[:, None])[:, 0], entropy_N, top_N)

    vocabulary = int(getattr(head, "out_features", 0)) or int(head(hidden_ND[:1]).shape[-1])
    at_once = max(1, slice_elements // vocabulary)
    if len(hidden_ND) <= at_once:
        return scores(hidden_ND, targets_N)
    slices = zip(hidden_ND.split(at_once), targets_N.split(at_once), strict=True)
    parts = [checkpoint(scores, hidden, targets, use_reentrant=False) for hidden, targets in slices]
    return Scores(*(torch.cat(column) for column in zip(*parts, strict=True)))
