"""What goes wrong in the other methods: pairs, and fine-tuning on what was right."""

from __future__ import annotations

from tests.mutations.run import Mutation

PAIRS = "tests/rl/test_pairs.py::"
BY_HAND = PAIRS + "test_the_loss_of_a_pair_by_hand"
AS_TRL = PAIRS + "test_the_loss_is_that_of_trl_on_the_same_pairs_however_they_are_batched"
HARDEST = PAIRS + "test_the_hardest_pair_is_the_least_likely_right_answer_with_the_likeliest_wrong_one"

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
)
