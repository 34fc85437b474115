import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from rl.packing import micro_batches, pack, packed_length, side_by_side
from rl.types import Episode, Group, Segment
from sft.policy.answers import answer_hidden, score_answers
from sft.policy.attention import install
from tests.rl.question import question


def rollout(prompt, answer, k=0):
    return Episode.single(k, prompt, answer, [0.0] * len(answer), "stop", 0)


def separate_log_probs(model, prompt, answer):
    logits = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    return torch.stack([logits[len(prompt) - 1 + i, token] for i, token in enumerate(answer)])


def small_model():
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).eval()


def packed_log_probs(model, groups):
    packed = pack(groups)
    install(model)
    return score_answers(answer_hidden(model, packed), model.lm_head, packed.targets_N).log_probs_N


def test_a_packed_group_gives_the_log_probs_of_separate_sequences():
    model = small_model()
    groups = [
        [rollout([1, 2, 3, 4, 5], answer) for answer in ([6, 7, 8], [9], [6, 7, 9, 10])],
        [rollout([11, 12], answer) for answer in ([13, 14], [15])],
    ]
    with torch.no_grad():
        ours = packed_log_probs(model, groups)
        theirs = torch.cat([separate_log_probs(model, r.prompt_ids, r.token_ids) for g in groups for r in g])
    assert torch.allclose(ours, theirs, atol=2e-6)


def test_packed_turns_give_the_log_probs_of_separate_sequences_and_what_is_read_is_not_learned():
    model = small_model()
    read, wrote = Segment([20, 21, 22], None), Segment([23, 24], [0.0, 0.0])
    one = rollout([1, 2, 3], [6, 7])
    episodes = [one.then(read, wrote).then(Segment([25], None), Segment([26], [0.0])), one, one.then(read, wrote)]
    with torch.no_grad():
        ours = packed_log_probs(model, [episodes])
        ids = [e.ids for e in episodes]
        theirs = [separate_log_probs(model, [1, 2, 3], i[3:]) for i in ids]
    # written: places 0, 1 behind the prompt, then 5, 6 behind the first observation, then 8 behind the second one
    kept = torch.cat([theirs[0][[0, 1, 5, 6, 8]], theirs[1][[0, 1]], theirs[2][[0, 1, 5, 6]]])
    assert float((ours - kept).abs().max()) <= 1e-6
    targets = pack([episodes]).targets_N.tolist()
    assert targets == [6, 7, 23, 24, 26, 6, 7, 6, 7, 23, 24] == [i for e in episodes for i in e.token_ids]


SCHEMA = [20 + n % 25 for n in range(40)]


def groups_of_one_database():
    questions: list[list[int]] = [[3], [3, 4, 5], [6, 7], []]
    answers = ([6, 7, 8], [9], [6, 7, 9, 10])
    return [[rollout(SCHEMA + q, a) for a in answers[: 1 if n == 2 else 3]] for n, q in enumerate(questions)]


def test_questions_of_one_database_hold_its_schema_once_and_have_the_gradients_of_separate_sequences():
    groups = [*groups_of_one_database(), [rollout([1, 2, 3], [4, 5])]]
    packed = pack(groups)
    apart = sum(packed_length([group]) for group in groups)
    assert len(packed.ids_M) == packed_length(groups) < apart - 2 * len(SCHEMA)
    assert packed.targets_N.tolist() == [i for group in groups for e in group for i in e.token_ids]
    assert [len(span.rows) for span in packed.spans] == [4, 0]
    weights = torch.randn(len(packed.targets_N), generator=torch.Generator().manual_seed(1))
    found = []
    for shared in (True, False):
        model = small_model()
        if shared:
            log_probs = packed_log_probs(model, groups)
        else:
            log_probs = torch.cat([separate_log_probs(model, e.prompt_ids, e.token_ids) for g in groups for e in g])
        (weights * log_probs).sum().backward()
        found.append([log_probs.detach(), *(p.grad for p in model.parameters())])
    assert all(float((ours - theirs).abs().max()) < 1e-5 for ours, theirs in zip(*found, strict=True))


def test_a_common_beginning_that_is_no_schema_is_not_shared():
    groups = [[rollout(SCHEMA[:10] + [n] * 30, [1])] for n in (1, 2)]
    assert [span.rows for span in pack(groups).spans] == [(), ()]
    assert [len(pack(groups_of_one_database(), shared=False).spans)] == [4]


def test_groups_of_one_database_lie_side_by_side_within_the_budget():
    asked = [question(f"q{n}", database=f"db{n % 2}") for n in range(8)]
    groups = [Group(asked[n], [rollout([n % 2, *SCHEMA, n], [5, 6])] * 2) for n in range(8)]
    rows = side_by_side(groups, token_budget=60)
    assert sorted(g.example.id for row in rows for g in row) == sorted(e.id for e in asked)
    assert [len(row) for row in rows] == [3, 1, 3, 1]  # 41 of schema and 5 behind it for each question
    assert all(len({g.example.database for g in row}) == 1 for row in rows)
    assert len(side_by_side(groups, token_budget=1)) == 8


def test_micro_batches_hold_every_group_once_within_the_budget():
    lengths = [5, 90, 40, 41, 7, 200, 12]
    batches = micro_batches(lengths, token_budget=100)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in b) <= 100 for b in batches if len(b) > 1)
