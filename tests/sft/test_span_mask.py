"""The block mask made from spans is the one that FlexAttention itself makes by trying every pair."""

import random

import pytest
import torch
import torch._dynamo
from torch.nn.attention.flex_attention import create_block_mask

from evaluation.errors import UserError
from sft.policy.attention import flex_packed_attention, implementation, packed_attention
from sft.policy.packing import Span
from sft.policy.span_mask import BLOCK, block_mask, seen_places


def some_spans(seed: int) -> tuple[tuple[Span, ...], int]:
    rng, spans, start = random.Random(seed), [], 0
    for _ in range(rng.randint(1, 4)):
        spans.append(some_row(rng, start, 500))
        start = spans[-1].end
    return tuple(spans), -(-start // BLOCK) * BLOCK


def some_row(rng: random.Random, start: int, longest: int, inner: bool = False) -> Span:
    prefix, branches = rng.randint(1, longest), tuple(rng.randint(1, 200) for _ in range(rng.choice([0, 2, 5])))
    if inner or rng.random() < 0.5:
        return Span(start, prefix, branches)
    rows: list[Span] = []
    for _ in range(rng.randint(2, 4)):
        rows.append(some_row(rng, rows[-1].end if rows else start + prefix, 60, inner=True))
    return Span(start, prefix, (), tuple(rows))


def labels(spans: tuple[Span, ...], filled: int) -> torch.Tensor:
    """(4, filled): row, row behind it, branch and position of each token, straight from the definition."""
    tokens = []
    for number, span in enumerate(spans):
        tokens += [(number, 0, 0, p) for p in range(span.prefix)]
        for b, length in enumerate(span.branches, start=1):
            tokens += [(number, 0, b, span.prefix + t) for t in range(length)]
        for r, row in enumerate(span.rows, start=1):
            tokens += [(number, r, 0, span.prefix + p) for p in range(row.prefix)]
            for b, length in enumerate(row.branches, start=1):
                tokens += [(number, r, b, span.prefix + row.prefix + t) for t in range(length)]
    tokens += [(-1, 0, 0, p) for p in range(filled - len(tokens))]
    return torch.tensor(tokens).T


def seen_by(spans: tuple[Span, ...], filled: int, window: int | None, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    row, inner, branch, position = labels(spans, filled)
    before = ((inner[k] == 0) | (inner[k] == inner[q])) & ((branch[k] == 0) | (branch[k] == branch[q]))
    near = position[q] - position[k] < (window or filled)
    return (q >= k) & (row[q] == row[k]) & before & (near | (row[q] == -1))


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, 1, 40, 128, 300])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_equal_those_of_create_block_mask(window, seed):
    spans, filled = some_spans(seed)

    def visible(batch, head, q, k):
        return seen_by(spans, filled, window, q, k)

    theirs = create_block_mask(visible, 1, 1, filled, filled, device="cpu", BLOCK_SIZE=BLOCK)
    ours = block_mask(spans, filled, window, torch.device("cpu"))
    for name in ("kv_num_blocks", "full_kv_num_blocks", "q_num_blocks", "full_q_num_blocks"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    for kind in ("kv", "full_kv"):
        for block, count in enumerate(getattr(theirs, f"{kind}_num_blocks")[0, 0]):
            mine, given = (getattr(mask, f"{kind}_indices")[0, 0, block, :count] for mask in (ours, theirs))
            assert torch.equal(mine, given)
    q, k = torch.arange(filled)[:, None], torch.arange(filled)[None]
    zero = torch.zeros(())
    assert torch.equal(ours.mask_mod(zero, zero, q, k), visible(zero, zero, q, k))


def test_a_window_counts_positions_not_places():
    # p0 … p9 | a10 a11 | b10: with a window of 3, b10 sees p8, p9 and itself, though a10 and a11 lie between.
    assert seen_places([Span(0, 10, (2, 1))], 13, window=3)[:, 12].tolist() == [8, 10, 12, 12, 12]
    # p0 p1 | q2 | a3 a4 | b3 b4, r2: with a window of 4, b4 sees p1, q2, b3 and itself; r2 all of p.
    tree = [Span(0, 2, (), (Span(2, 1, (2, 2)), Span(7, 1, ())))]
    assert seen_places(tree, 8, window=4)[:, 6:].T.tolist() == [[1, 2, 2, 3, 5], [0, 2, 7, 7, 7]]


def test_a_mask_of_many_tokens_needs_no_memory_of_tokens_squared():
    tokens = 2**15  # trying every pair takes 10 GiB
    spans = tuple(Span(start, 8192, (4096,) * 2) for start in range(0, tokens, 16384))
    blocks = int(block_mask(spans, tokens, None, torch.device("cpu")).full_kv_num_blocks.sum())
    # Of a row: 64 blocks of prefix see those before them, 2 x 32 of branches the prefix and those before them.
    assert blocks == 2 * (64 * 63 // 2 + 2 * (32 * 64 + 32 * 31 // 2))


@pytest.mark.slow
@pytest.mark.parametrize(("window", "softcap"), [(7, None), (None, 0.5), (7, 0.5), (25, 2.0)])
def test_both_attentions_know_windows_and_caps(window, softcap):
    torch.manual_seed(0)
    tree = Span(35, 20, (), (Span(55, 6, ()), Span(61, 4, (7, 3))))
    spans, scale = (Span(0, 20, (3, 9, 3)), tree, Span(75, 5, (6, 11))), 0.25
    query, key, value = torch.randn(4, 97, 16), torch.randn(2, 97, 16), torch.randn(2, 97, 24)
    seen = seen_by(spans, 97, window, torch.arange(97)[:, None], torch.arange(97)[None])
    scores = query @ key.repeat_interleave(2, 0).transpose(1, 2) * scale
    scores = scores if softcap is None else softcap * (scores / softcap).tanh()
    wanted = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value.repeat_interleave(2, 0)
    assert torch.allclose(packed_attention(query, key, value, spans, scale, window, softcap), wanted, atol=1e-5)
    with torch._dynamo.config.patch(disable=False):  # an engine that ran in this process has switched it off
        flex = flex_packed_attention(query, key, value, spans, scale, window, softcap)
    assert torch.allclose(flex, wanted, atol=1e-5)


def broken() -> None:
    raise RuntimeError("Python.h: No such file\nlong report of a compiler")


@pytest.mark.parametrize(
    ("setting", "device", "probe", "wanted"),
    [
        ("auto", "cpu", broken, "sdpa"),
        ("sdpa", "cuda", broken, "sdpa"),
        ("auto", "cuda", lambda: None, "flex"),
        ("flex", "cuda", lambda: None, "flex"),
    ],
)
def test_flex_attention_is_taken_where_it_compiles(setting, device, probe, wanted):
    assert implementation(setting, torch.device(device), probe) == wanted


def test_flex_attention_that_does_not_compile_is_avoided_with_a_warning_or_refused_if_asked_for():
    with pytest.warns(UserWarning, match="FlexAttention does not work on cuda: Python.h: No such file; going on"):
        assert implementation("auto", torch.device("cuda"), broken) == "sdpa"
    with pytest.raises(UserError, match="model.attention=sdpa does without it"):
        implementation("flex", torch.device("cuda"), broken)
    with pytest.raises(UserError, match="needs a GPU"):
        implementation("flex", torch.device("cpu"), broken)
