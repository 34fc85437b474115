"""What goes wrong in the other methods: pairs, fine-tuning on what was right, a critic, several turns."""

from __future__ import annotations

from tests.mutations.run import Mutation

PAIRS = "tests/rl/test_pairs.py::"
BY_HAND = PAIRS + "test_the_loss_of_a_pair_by_hand"
AS_TRL = PAIRS + "test_the_loss_is_that_of_trl_on_the_same_pairs_however_they_are_batched"
HARDEST = PAIRS + "test_the_hardest_pair_is_the_least_likely_right_answer_with_the_likeliest_wrong_one"

OPD = "tests/rl/test_opd.py::"
EFFORT = "tests/evaluation/test_effort.py::"
REWARD_MODEL = "tests/rl/test_reward_model.py::"
PPO = "tests/rl/test_ppo.py::"
AGENT = "tests/rl/test_run_and_repair.py::"

MUTATIONS = (
    Mutation(
        "dpo",
        "the wrong answer of a pair is preferred",
        "rl/algorithms/dpo.py",
        "return scores_A[0::2] - scores_A[1::2]",
        "return scores_A[1::2] - scores_A[0::2]",
        (BY_HAND + "[dpo]", AS_TRL + "[64-dpo]"),
    ),
    Mutation(
        "dpo",
        "pairs are not measured from the reference",
        "rl/algorithms/dpo.py",
        "tokens.log_probs_N - tokens.reference_N)",
        "tokens.log_probs_N)",
        (BY_HAND + "[dpo]", AS_TRL + "[64-dpo]"),
    ),
    Mutation(
        "dpo",
        "right answers of one group are paired with wrong ones of another",
        "rl/learner.py",
        "        if not self.algorithm.together:\n            kept = self._rows(kept)\n",
        "        kept = sorted(self._rows(kept), key=lambda one: one.advantages[0])\n",
        (AS_TRL + "[100000-dpo]",),
    ),
    Mutation(
        "dpo",
        "the easiest pairs come first",
        "rl/algorithms/dpo.py",
        "key=lambda i: (-likely[i], i))",
        "key=lambda i: (likely[i], i))",
        (HARDEST,),
    ),
    Mutation(
        "ipo",
        "a long answer counts more than a short one",
        "rl/algorithms/dpo.py",
        "return sums_A / lengths_A.clamp(min=1)",
        "return sums_A",
        (BY_HAND + "[ipo]", AS_TRL + "[64-ipo]"),
    ),
    Mutation(
        "rft",
        "wrong answers are learned like right ones",
        "rl/algorithms/rft.py",
        "float(reward.correct and ids not in seen)",
        "float(ids not in seen)",
        (PAIRS + "test_rejection_fine_tuning_is_the_mean_cross_entropy_of_the_distinct_right_answers",),
    ),
    Mutation(
        "opd",
        "the policy is driven away from its teacher",
        "rl/algorithms/opd.py",
        "tokens.teacher_N - tokens.log_probs_N.detach()",
        "tokens.log_probs_N.detach() - tokens.teacher_N",
        (OPD + "test_the_loss_of_two_tokens_by_hand",),
    ),
    Mutation(
        "opd",
        "the policy is its own teacher",
        "rl/learner.py",
        "return self._frozen(TEACHER, packed)",
        'return self._frozen("default", packed)',
        (OPD + "test_the_policy_nears_its_teacher_and_one_that_is_its_own_teacher_stays",),
    ),
    Mutation(
        "reward model",
        "a reward model pays wrong answers where none is right, beside execution",
        "rl/reward.py",
        "gate = float(not config.correct or any(",
        "gate = float(bool(config.model) or any(",
        (REWARD_MODEL + "test_it_is_a_part_beside_execution_or_pays_alone",),
    ),
    Mutation(
        "reward model",
        "the score is read with the policy's adapter",
        "rl/critic.py",
        "    model.set_adapter(adapter)",
        '    model.set_adapter("default")',
        (REWARD_MODEL + "test_the_learner_reads_the_scores_that_trls_model_gives[shared]",),
    ),
    Mutation(
        "offline",
        "the easiest pairs of a run come first",
        "rl/replay.py",
        "sorted(paired, key=hardness, reverse=True)",
        "sorted(paired, key=hardness)",
        ("tests/rl/test_replay.py::test_groups_are_read_back_as_they_were_and_come_hardest_first_and_again",),
    ),
    Mutation(
        "efficiency",
        "a cheap wrong answer is paid for being cheap",
        "evaluation/judge.py",
        'return Verdict("open" if gold.open else "wrong", False, execution)',
        'return Verdict("open" if gold.open else "wrong", False, execution, cheap)',
        (EFFORT + "test_right_answers_are_told_apart_by_their_cost_and_a_cheap_wrong_one_has_none",),
    ),
    Mutation(
        "ppo",
        "nothing lies behind an answer that was cut",
        "rl/algorithms/ppo.py",
        "advantages, later, following = list[float](), 0.0, beyond",
        "advantages, later, following = list[float](), 0.0, 0.0",
        (
            PPO + "test_an_answer_that_was_cut_is_worth_what_the_critic_expects_behind_it",
            PPO + "test_the_state_behind_a_cut_answer_has_seen_all_of_it",
        ),
    ),
    Mutation(
        "ppo",
        "λ discounts the value instead of the advantage",
        "rl/algorithms/ppo.py",
        "later = delta + gamma * gae_lambda * later",
        "later = delta + gamma * later",
        (PPO + "test_advantages_of_two_tokens_by_hand",),
    ),
    Mutation(
        "ppo",
        "a clipped value is the smaller loss",
        "rl/algorithms/ppo.py",
        "torch.maximum((values_N - returns_N)",
        "torch.minimum((values_N - returns_N)",
        (PPO + "test_a_value_that_moves_further_than_the_clip_gains_nothing",),
    ),
    Mutation(
        "ppo",
        "the critic computes with the policy's adapter",
        "rl/critic.py",
        "predicted(self.model, NAME, self.head",
        'predicted(self.model, "default", self.head',
        (PPO + "test_the_value_loss_has_a_gradient_in_the_critic_alone",),
    ),
    Mutation(
        "agent",
        "what was read is learned",
        "rl/packing.py",
        "(s.ids, s.log_probs is not None)",
        "(s.ids, True)",
        (
            "tests/rl/test_packing.py::"
            "test_packed_turns_give_the_log_probs_of_separate_sequences_and_what_is_read_is_not_learned",
        ),
    ),
    Mutation(
        "agent",
        "a query that is stood by is answered again",
        "rl/run_and_repair.py",
        "if not _stands_by(pair[1])}",
        "}",
        (AGENT + "test_an_error_is_shown_and_a_query_that_is_stood_by_ends_the_episode",),
    ),
    Mutation(
        "agent",
        "every turn is paid in full",
        "rl/rewards.py",
        "discount ** (episode.turns - 1)",
        "discount**0",
        (AGENT + "test_a_later_turn_is_paid_less_and_a_first_one_in_full",),
    ),
)
