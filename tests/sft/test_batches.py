"""Packed questions: every one once, within the budget, and with the logits that it has alone."""

import random

import pytest
import torch
import torch._dynamo
from transformers import Qwen2Config, Qwen2ForCausalLM

from evaluation.benchmarks import Example
from sft.batches import packed_batches, rows, schedule
from sft.policy.answers import answer_hidden, score_answers
from sft.policy.attention import flex_packed_attention, install, packed_attention
from sft.policy.encoder import TrainingExample
from sft.policy.packing import Span


def item(database: str, prompt: list[int], answer: list[int]) -> TrainingExample:
    return TrainingExample(Example("q", database, "?", "", "SELECT 1", database, ""), prompt, answer)


def questions(databases: int = 3, each: int = 5, seed: int = 0) -> list[TrainingExample]:
    """Schemas of 20 to 40 tokens, the question's own 3 to 9, answers of 1 to 8."""
    rng = random.Random(seed)

    def tokens(low: int, high: int) -> list[int]:
        return [rng.randrange(2, 50) for _ in range(rng.randint(low, high))]

    made = []
    for database in range(databases):
        schema = tokens(20, 40)
        made += [item(f"db{database}", schema + tokens(3, 9), tokens(1, 8)) for _ in range(each)]
    return made


@pytest.fixture(scope="module")
def model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    install(model)
    return model


def alone(model: Qwen2ForCausalLM, one: TrainingExample) -> list[float]:
    logits = model(torch.tensor([one.prompt_ids + one.completion_ids])).logits[0].log_softmax(-1)
    first = len(one.prompt_ids) - 1
    return [float(logits[first + i, token]) for i, token in enumerate(one.completion_ids)]


@pytest.mark.parametrize("budget", [64, 150, 4096])
def test_answers_have_the_log_probs_that_they_have_alone(model, budget):
    items = questions()
    with torch.no_grad():
        found = []
        for batch in packed_batches(items, budget):
            scores = score_answers(answer_hidden(model, batch), model.lm_head, batch.targets_N)
            found += scores.log_probs_N.tolist()
        expected = [value for one in items for value in alone(model, one)]
    assert sorted(found) == pytest.approx(sorted(expected), abs=3e-6)


def test_a_schema_is_held_once_per_row_and_rows_keep_to_the_budget():
    items = questions()
    packed = rows(items, 4096)
    assert len(packed) == 3 and sum(len(row.branches) for row in packed) == len(items)
    assert sum(row.length for row in packed) < 0.5 * sum(one.length for one in items)
    for row in rows(items, 100):
        assert row.length <= 100 or len(row.branches) == 1


def test_a_prompt_that_begins_another_is_shared_whole():
    short, long = list(range(2, 30)), list(range(2, 34))
    (row,) = rows([item("db", short, [1]), item("db", long, [1, 1])], 4096)
    assert list(row.prefix) == short and [len(branch.context) for branch in row.branches] == [0, 4]


def test_prompts_with_little_in_common_lie_apart():
    items = [item("db", [3] * 4 + [i] * 40, [1]) for i in range(4, 8)]
    assert [row.length for row in rows(items, 4096)] == [45] * 4


def test_an_epoch_holds_every_question_once_and_epochs_differ():
    items = questions(databases=7, each=9)
    steps = schedule(items, batch_size=8, epochs=2.5, together=4, seed=0)
    per_epoch = 8  # 63 questions
    assert len(steps) == 20
    first, second = ([i for step in steps[e * per_epoch :][:per_epoch] for i in step] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(63)) and first != second
    assert steps == schedule(items, 8, 2.5, 4, 0) != schedule(items, 8, 2.5, 4, 1)


def test_questions_drawn_together_share_schemas_and_alone_they_do_not():
    items = questions(databases=40, each=8)

    def databases_per_step(together: int) -> float:
        steps = schedule(items, 16, 1, together, 0)
        return sum(len({items[i].example.database for i in step}) for step in steps) / len(steps)

    assert databases_per_step(4) < 6 < 11 < databases_per_step(1)


def test_logits_in_slices_give_the_same_scores_and_gradients(model):
    (batch,) = packed_batches(questions(), 4096)
    results = []
    for elements in (50 * 7, 10**9):
        model.zero_grad()
        hidden = answer_hidden(model, batch)
        scores = score_answers(hidden, model.lm_head, batch.targets_N, 0.7, learn_entropy=True, slice_elements=elements)
        (scores.log_probs_N.sum() + scores.entropy_N.square().sum()).backward()
        results.append((scores, model.model.layers[0].self_attn.q_proj.weight.grad.clone()))
    (sliced, sliced_gradient), (whole, whole_gradient) = results
    assert torch.allclose(sliced.log_probs_N, whole.log_probs_N, atol=1e-6)
    assert torch.allclose(sliced.entropy_N, whole.entropy_N, atol=1e-6) and torch.equal(sliced.top_N, whole.top_N)
    assert torch.allclose(sliced_gradient, whole_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 4])
def test_flex_attention_sees_what_the_two_part_attention_sees(groups):
    torch.manual_seed(0)
    spans = (Span(0, 20, (3, 9, 3)), Span(35, 40, ()), Span(75, 5, (6, 6)))
    tokens, heads, width = 92, 4, 16
    query = torch.randn(heads, tokens, width)
    key, value = (torch.randn(heads // groups, tokens, width) for _ in range(2))
    two_parts = packed_attention(query, key, value, spans, 0.25)
    with torch._dynamo.config.patch(disable=False):  # an engine that ran in this process has switched it off
        flex = flex_packed_attention(query, key, value, spans, 0.25)
    assert torch.allclose(two_parts, flex, atol=1e-6)  # FlexAttention has no backward pass on a CPU
