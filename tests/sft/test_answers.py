"""Log-probabilities of answer tokens: exact from bf16 logits, and in bounded memory."""

import torch

from sft.policy.answers import score_answers


class Head(torch.nn.Linear):
    """A head that notes how many logits it held at once."""

    largest = 0

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = super().forward(hidden)
        self.largest = max(self.largest, logits.numel())
        return logits


def head_and_hidden(tokens: int = 40, vocabulary: int = 3000) -> tuple[Head, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    head = Head(16, vocabulary, bias=False, dtype=torch.bfloat16)
    hidden = (4 * torch.randn(tokens, 16)).bfloat16()
    return head, hidden, torch.randint(vocabulary, (tokens,))


def test_bf16_logits_are_normalised_in_full_precision() -> None:
    head, hidden, targets = head_and_hidden()
    with torch.no_grad():
        scores = score_answers(hidden, head, targets, temperature=0.7)
        exact = (head(hidden).double() / 0.7).log_softmax(-1)
    assert scores.log_probs_N.dtype == scores.entropy_N.dtype == torch.float32
    expected = exact.gather(1, targets[:, None])[:, 0]
    assert float((scores.log_probs_N - expected).abs().max()) < 1e-5
    assert float((scores.entropy_N + (exact.exp() * exact).sum(-1)).abs().max()) < 1e-5


def test_no_more_logits_are_held_at_once_than_allowed_and_the_scores_stay_the_same() -> None:
    head, hidden, targets = head_and_hidden()
    whole = score_answers(hidden, head, targets)
    head.largest = 0
    sliced = score_answers(hidden, head, targets, slice_elements=7 * 3000)
    assert head.largest == 7 * 3000
    assert float((sliced.log_probs_N - whole.log_probs_N).abs().max()) < 1e-5
