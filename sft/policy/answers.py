"""Log-probabilities of answer tokens, and nothing else: the head sees answer positions only, a slice at a time.

packing = shared: one forward pass over packed rows. packing = none: each row is one sequence, through the model's own
forward; `sft.policy.support` says which of them a model needs.
Axes: N answer tokens, D width of the model, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sft.policy.attention import forward_arguments
from sft.policy.packing import PackedBatch

SLICE_ELEMENTS = 2**27
"""Logits held at once, in numbers: half a GiB of fp32. Above it they are made again in the backward pass."""


Packing = Literal["shared", "none"]


class Scores(NamedTuple):
    """log_probs_N: log π of the target, with gradient; entropy_N: of the whole distribution; top_N: is it the best?"""

    log_probs_N: Tensor
    entropy_N: Tensor
    top_N: Tensor


class Head:
    """The logits that the model's own forward makes of its decoder's output: (N, V) from (N, D)."""

    def __init__(self, causal_lm: Any) -> None:
        config = causal_lm.config.get_text_config()
        self.layer = causal_lm.get_output_embeddings()
        self.out_features = int(getattr(self.layer, "out_features", 0))
        self.divisor = getattr(config, "logits_scaling", None)
        self.factor = getattr(config, "logit_scale", None)
        self.softcap = getattr(config, "final_logit_softcapping", None)

    def __call__(self, hidden_ND: Tensor) -> Tensor:
        logits_NV: Tensor = self.layer(hidden_ND)
        if self.divisor is not None:  # Granite
            logits_NV = logits_NV / self.divisor
        if self.factor is not None:  # Cohere
            logits_NV = logits_NV * self.factor
        if self.softcap is not None:  # Gemma 2 and 3
            logits_NV = self.softcap * torch.tanh(logits_NV / self.softcap)
        return logits_NV


def answer_scores(
    causal_lm: Any, packed: PackedBatch, packing: Packing, temperature: float = 1.0, learn_entropy: bool = False
) -> Scores:
    """`score_answers` of all answer tokens of the batch. With packing = none its rows have one branch each."""
    if packing == "shared":
        hidden_ND, head = answer_hidden(causal_lm, packed), Head(causal_lm)
        return score_answers(hidden_ND, head, packed.targets_N, temperature, learn_entropy)
    parts = [
        score_answers(logits, torch.nn.Identity(), targets, temperature, learn_entropy)
        for logits, targets in _one_by_one(causal_lm, packed)
    ]
    return Scores(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _one_by_one(causal_lm: Any, packed: PackedBatch) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (n, V) and targets (n,) of each row's answer."""
    can_choose = "logits_to_keep" in inspect.signature(causal_lm.forward).parameters
    for span in packed.spans:
        assert not span.branches, "without packing a row is one sequence"
        ours_N = (packed.predictors_N >= span.start) & (packed.predictors_N < span.end)
        places, ids = packed.predictors_N[ours_N] - span.start, packed.ids_M[span.start : span.end]
        if can_choose:
            logits = causal_lm(input_ids=ids[None], logits_to_keep=places).logits[0]
        else:
            logits = causal_lm(input_ids=ids[None]).logits[0, places]
        yield logits, packed.targets_N[ours_N]


def answer_hidden(causal_lm: Any, packed: PackedBatch) -> Tensor:
    """(N, D): the decoder's output at the positions that predict answer tokens. Needs `attention.install`."""
    hidden_MD = causal_lm.get_decoder()(
        input_ids=packed.ids_M[None],
        position_ids=packed.positions_M[None],
        use_cache=False,
        **forward_arguments(packed.spans, packed.ids_M.device),
    )[0][0]
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
