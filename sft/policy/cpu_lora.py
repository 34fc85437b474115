"""LoRA in vLLM's CPU build as plain matrix products.

vLLM's CPU fallback gathers a copy of the adapter's weights *for every token* of the batch, in fp32, before it
multiplies: sampling a 4M-parameter model becomes five times slower than without LoRA. The tokens of a batch come in a
few runs that share one adapter (in RL: one run), so per run two products do:

    y[run] += (x[run] @ A) @ B        A: [in, slices·r]   B: [slices·r, out], block-diagonal over packed projections

Tokens without an adapter (index -1) are left alone. Measured on one core with a 3.9M-parameter Qwen2, 64 prompts × 8
samples: 1,200 → 5,600 sampled tokens/s; 6,700 without LoRA.
"""

from __future__ import annotations

from typing import Any

import torch

Pair = tuple[torch.Tensor, torch.Tensor]


class RunwiseLora:
    """Stands in for `add_lora_linear` of one of vLLM's CPU LoRA wrappers; `install` puts it there."""

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper  # holds which tokens of the batch belong to which LoRA slot
        self._pairs: dict[tuple[int, int], tuple[int, Pair]] = {}

    def install(self) -> None:
        self._wrapper.add_lora_linear = self.add_lora_linear

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """Add the adapters' part to y [tokens, out] in place; x is [tokens, in].

        `lora_a_stacked` holds, per packed projection, [slots, 1, r, in]; `lora_b_stacked` [slots, 1, out, r], already
        multiplied by alpha / r (vLLM does it when an adapter is loaded, and passes scale = 1).
        """
        for slot, begin, end in self._runs():
            if slot < 0:
                continue
            a, b = self._pair(lora_a_stacked, lora_b_stacked, slot)
            y[begin:end, : b.shape[1]].addmm_(x[begin:end] @ a, b, alpha=scale)

    def _runs(self) -> list[tuple[int, int, int]]:
        """(slot, first token, end token) of each run of tokens with one adapter; slot -1: none."""
        wrapper, count = self._wrapper, self._wrapper.batch_size
        slots = wrapper._lora_indices_per_batch[:count].tolist()
        begins = wrapper._seq_start_locs[:count].tolist()
        lengths = wrapper._seq_lengths[:count].tolist()
        return [(slot, begin, begin + length) for slot, begin, length in zip(slots, begins, lengths, strict=True)]

    def _pair(self, lora_a: tuple[torch.Tensor, ...], lora_b: tuple[torch.Tensor, ...], slot: int) -> Pair:
        """A and B of a slot, packed projections joined; kept until vLLM writes to the slots again."""
        key, version = (id(lora_a[0]), slot), lora_a[0]._version  # loading or resetting any slot bumps the version
        kept = self._pairs.get(key)
        if kept is None or kept[0] != version:
            kept = (version, joined(lora_a, lora_b, slot))
            self._pairs[key] = kept
        return kept[1]


def joined(lora_a: tuple[torch.Tensor, ...], lora_b: tuple[torch.Tensor, ...], slot: int) -> Pair:
    """A [in, slices·r] and block-diagonal B [slices·r, out] of one slot."""
    a = torch.cat([part[slot, 0] for part in lora_a]).t().contiguous()
    b = torch.block_diag(*[part[slot, 0] for part in lora_b]).t().contiguous()
    return a, b
