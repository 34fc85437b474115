"""The pitfalls of GRPO as mistakes, numbered as in the collection that they come from.

5.1 advantages      5.2 length bias        5.3 aggregation        5.4 temperature     5.5 truncated sampling
5.6 masks           5.7 EOS, truncation    5.8 ids, not text      5.9 ratios          5.10 KL
5.11 reference      5.12 dropout           5.13 LoRA scaling      5.14 served base    5.15 policy versions
5.16 prefix cache   5.17 optimizer steps   5.18 positions, rows   5.19 reward order   5.20 precision
5.21 seeds          5.22 warm-up
"""

from __future__ import annotations

from tests.mutations.run import Mutation

FORMULAS = "tests/rl/test_pitfalls_formulas.py::"
PACKED = "tests/rl/test_packing.py::"
LEARNER = "tests/rl/test_pitfalls.py::"
ENGINE = "tests/rl/test_pitfalls_engine.py::"
REWARDS = "tests/rl/test_pitfalls_rewards.py::"
GENERATOR = "tests/sft/test_generator.py::"

ONE_BY_ONE = LEARNER + "test_the_gradient_is_the_weighted_sum_over_answers_computed_one_by_one"
OFF_BY_A_CONSTANT = LEARNER + "test_an_engine_that_was_off_by_a_constant_is_corrected_by_its_ratio_up_to_the_cap"
SAME_LOG_PROBS = ENGINE + "test_the_learner_finds_the_engines_log_probs_at_the_sampling_temperature"
KL_OF_SAMPLES = FORMULAS + "test_the_mean_of_samples_of_the_kl_term_is_the_kl_and_so_is_its_gradient"
REFERENCE = LEARNER + "test_the_reference_is_the_warmed_up_policy_and_stays_it"
SAMPLES_DIFFER = GENERATOR + "test_samples_differ_within_a_group_and_replay_with_the_seed"
TRAINER_IDS = "tests/sft/test_train.py::test_the_trainer_gets_the_prompt_ids_of_rl_and_the_loss_is_on_sql_and_eos_only"

MUTATIONS = (
    Mutation(
        "5.1",
        "the deviation of a group is that of a population, not of a sample",
        "rl/algorithms/advantages.py",
        "deviation = statistics.stdev(rewards_K)",
        "deviation = statistics.pstdev(rewards_K)",
        ("tests/rl/test_advantages.py::test_grpo_divides_by_the_sample_deviation",),
    ),
    Mutation(
        "5.1",
        "float noise between equal rewards is divided by its own tiny spread",
        "rl/algorithms/advantages.py",
        "if max(rewards_K) - min(rewards_K) < EPSILON:",
        "if max(rewards_K) == min(rewards_K):",
        ("tests/rl/test_advantages.py::test_float_noise_between_equal_rewards_is_not_blown_up",),
    ),
    Mutation(
        "5.1",
        "shaping among right answers is divided by its own small spread",
        "rl/algorithms/advantages.py",
        "divisor = max(deviation, least_spread(len(rewards_K), unit)) + EPSILON",
        "divisor = deviation + EPSILON",
        ("tests/rl/test_advantages.py::test_shaping_among_right_answers_counts_by_its_weight[1.0-grpo-0.05--0.15]",),
    ),
    Mutation(
        "5.1",
        "a group of one is taken: its advantage is always 0 and nothing is learned",
        "rl/algorithms/advantages.py",
        "if len(rewards_K) < 2:",
        "if len(rewards_K) < 1:",
        ("tests/rl/test_advantages.py::test_a_group_of_one_is_refused",),
    ),
    Mutation(
        "5.1",
        "the baseline is the mean of the batch instead of the group",
        "rl/algorithms/advantages.py",
        "advantages_BK = [ESTIMATORS[estimator](rewards_K, unit) for rewards_K in rewards_BK]",
        "flat = iter(ESTIMATORS[estimator]([reward for rewards_K in rewards_BK for reward in rewards_K], unit))\n"
        "    advantages_BK = [[next(flat) for _ in rewards_K] for rewards_K in rewards_BK]",
        (
            FORMULAS + "test_an_advantage_depends_on_its_own_group_and_not_on_order_or_neighbours[grpo]",
            FORMULAS + "test_a_dropped_sample_leaves_a_group_with_its_own_statistics",
        ),
    ),
    Mutation(
        "5.2",
        "the token mean divides each answer by its own length",
        "rl/algorithms/losses.py",
        '"token_mean": 1.0, "constant"',
        '"token_mean": 1.0 / length, "constant"',
        (ONE_BY_ONE + "[token_mean-100000]",),
    ),
    Mutation(
        "5.2",
        "Dr. GRPO divides by the length of the answer instead of a constant",
        "rl/algorithms/losses.py",
        '"constant": 1.0 / max_tokens',
        '"constant": 1.0 / length',
        (LEARNER + "test_the_longest_answer_scales_dr_grpo_by_a_constant_only",),
    ),
    Mutation(
        "5.3",
        "each micro-batch is a mean of its own",
        "rl/algorithms/losses.py",
        "return (weights_N * loss_N).sum(), metrics",
        "return loss_N.mean(), metrics",
        (ONE_BY_ONE + "[token_mean-64]", ONE_BY_ONE + "[sequence_mean-64]"),
    ),
    Mutation(
        "5.3",
        "the KL is a mean of each micro-batch",
        "rl/algorithms/losses.py",
        "loss_N = loss_N + terms.kl * kl_term(terms.kl_estimator, log_probs_N, reference_N)",
        "mean = kl_term(terms.kl_estimator, log_probs_N, reference_N).mean()\n"
        "        loss_N = loss_N + terms.kl * mean / weights_N.sum()",
        (LEARNER + "test_kl_and_entropy_are_summed_with_the_weights_of_the_policy_gradient[64]",),
    ),
    Mutation(
        "5.3",
        "the warm-up averages the means of micro-batches",
        "sft/gradient.py",
        "share = -scores.log_probs_N.sum() / answer_tokens",
        "share = -scores.log_probs_N.mean() / len(batches)",
        ("tests/sft/test_train.py::test_packed_questions_give_the_loss_of_questions_one_by_one",),
    ),
    Mutation(
        "5.4",
        "the learner's log-probabilities are those of temperature 1",
        "sft/policy/answers.py",
        "(head(hidden_ND).float() / temperature)",
        "head(hidden_ND).float()",
        (SAME_LOG_PROBS + "[0.6]", SAME_LOG_PROBS + "[1.3]"),
    ),
    Mutation(
        "5.4",
        "the engine reports raw log-probabilities, before the temperature",
        "sft/policy/generator.py",
        'logprobs_mode="processed_logprobs"',
        'logprobs_mode="raw_logprobs"',
        (SAME_LOG_PROBS + "[0.6]", SAME_LOG_PROBS + "[1.3]"),
    ),
    Mutation(
        "5.5",
        "answers are sampled from the likeliest 20 ids",
        "sft/policy/generator.py",
        "top_k=0,",
        "top_k=20,",
        (
            ENGINE + "test_nothing_but_the_temperature_shapes_the_distribution_that_is_sampled_from",
            ENGINE + "test_samples_are_as_frequent_as_the_full_softmax_says",
            SAME_LOG_PROBS + "[1.0]",
        ),
    ),
    Mutation(
        "5.5",
        "repeated ids are made less likely while sampling",
        "sft/policy/generator.py",
        "repetition_penalty=1.0,",
        "repetition_penalty=1.05,",
        (
            ENGINE + "test_nothing_but_the_temperature_shapes_the_distribution_that_is_sampled_from",
            SAME_LOG_PROBS + "[1.0]",
        ),
    ),
    Mutation(
        "5.6",
        "an id is scored by the logits at its own place, one too late",
        "sft/policy/packing.py",
        "predictors += [before, *range(first, first + len(segment) - 1)]",
        "predictors += range(first, first + len(segment))",
        (LEARNER + "test_every_sampled_id_is_learned_from_the_id_before_it_eos_included", SAME_LOG_PROBS + "[1.0]"),
    ),
    Mutation(
        "5.6",
        "the warm-up learns the question as well as the answer",
        "sft/batches.py",
        "branch = Branch.of(item.prompt_ids[shared:], item.completion_ids)",
        "branch = Branch.of((), [*item.prompt_ids[shared:], *item.completion_ids])",
        (TRAINER_IDS,),
    ),
    Mutation(
        "5.7",
        "the gold answer does not end the turn",
        "sft/policy/chat.py",
        "return [*self.text_ids(text), self.end_id]",
        "return self.text_ids(text)",
        ("tests/sft/test_examples.py::test_an_answer_is_the_sql_without_semicolon_and_one_eos",),
    ),
    Mutation(
        "5.7",
        "the EOS that was sampled is cut off",
        "sft/policy/generator.py",
        "    log_probs = list(output.logprobs.logprobs)\n",
        "    log_probs = list(output.logprobs.logprobs)\n"
        '    if output.finish_reason == "stop":\n        token_ids, log_probs = token_ids[:-1], log_probs[:-1]\n',
        (GENERATOR + "test_an_answer_ends_with_the_stop_id_or_is_cut_at_max_tokens",),
    ),
    Mutation(
        "5.7",
        "answers cut at max_tokens are learned though they should be masked",
        "rl/algorithms/base.py",
        'enumerate(group.episodes) if episode.finish_reason == "stop"]',
        "enumerate(group.episodes) if episode.token_ids]",
        (LEARNER + "test_masked_answers_were_cut_at_max_tokens_and_finished_ones_learn_to_end[sequence_mean]",),
    ),
    Mutation(
        "5.8",
        "ids go through text on their way to the engine",
        "sft/policy/generator.py",
        "for index, (prompt, param) in enumerate(zip(queued.prompts, queued.params, strict=True)):",
        "from sft.policy.base import load_tokenizer\n\n            words = load_tokenizer(self.config.model)\n"
        "            prompts = [words.encode(words.decode(prompt)) for prompt in queued.prompts]\n"
        "            for index, (prompt, param) in enumerate(zip(prompts, queued.params, strict=True)):",
        (ENGINE + "test_ids_that_text_would_change_are_sampled_scored_and_learned_as_they_are",),
    ),
    Mutation(
        "5.9",
        "the old policy is the learner itself, so the engine is never corrected for",
        "rl/algorithms/losses.py",
        "log_ratio_N = log_probs_N - behaviour_N",
        "log_ratio_N = log_probs_N - log_probs_N.detach()",
        (OFF_BY_A_CONSTANT + "[-0.6]", OFF_BY_A_CONSTANT + "[1.5]"),
    ),
    Mutation(
        "5.9",
        "importance weights have no cap",
        "rl/algorithms/losses.py",
        "return ratio_N.clamp(max=terms.is_cap) * advantages_N",
        "return ratio_N * advantages_N",
        (OFF_BY_A_CONSTANT + "[1.5]",),
    ),
    Mutation(
        "5.9",
        "the importance weight is learned, too",
        "rl/algorithms/losses.py",
        "ratio_N = log_ratio_N.detach().exp()\n    return ratio_N.clamp(max=terms.is_cap)",
        "ratio_N = log_ratio_N.exp()\n    return ratio_N.clamp(max=terms.is_cap)",
        (
            OFF_BY_A_CONSTANT + "[0.1]",
            "tests/rl/test_losses.py::test_every_surrogate_is_the_policy_gradient_on_policy[reinforce]",
        ),
    ),
    Mutation(
        "5.9",
        "clipping keeps the larger of both objectives",
        "rl/algorithms/losses.py",
        "return torch.minimum(ratio_N * advantages_N",
        "return torch.maximum(ratio_N * advantages_N",
        (
            "tests/rl/test_losses.py::"
            "test_tokens_beyond_the_clip_bounds_stop_learning_only_in_the_direction_that_goes_further",
        ),
    ),
    Mutation(
        "5.10",
        "k1 and k3 lack the gradient of sampling from the policy",
        "rl/algorithms/losses.py",
        "return (log_probs_N - log_probs_N.detach()).exp() * value_N",
        "return value_N",
        (KL_OF_SAMPLES + "[k1]", KL_OF_SAMPLES + "[k3]"),
    ),
    Mutation(
        "5.10",
        "the KL is that of the reference to the policy",
        "rl/algorithms/losses.py",
        "k1_N = log_probs_N - reference_N",
        "k1_N = reference_N - log_probs_N",
        (KL_OF_SAMPLES + "[k1]", KL_OF_SAMPLES + "[k3]"),
    ),
    Mutation(
        "5.10",
        "the KL drives away from the reference",
        "rl/algorithms/losses.py",
        "loss_N = loss_N + terms.kl * kl_term(",
        "loss_N = loss_N - terms.kl * kl_term(",
        (
            FORMULAS + "test_the_kl_pulls_towards_the_reference_and_the_entropy_bonus_flattens",
            LEARNER + "test_kl_and_entropy_are_summed_with_the_weights_of_the_policy_gradient[100000]",
        ),
    ),
    Mutation(
        "5.11",
        "the reference is the base without adapter instead of the warmed-up policy",
        "rl/learner.py",
        "with torch.no_grad():\n            log_probs_N = self._log_probs(packed)[0]",
        "with torch.no_grad(), self.model.disable_adapter():\n            log_probs_N = self._log_probs(packed)[0]",
        (REFERENCE,),
    ),
    Mutation(
        "5.11",
        "the reference moves with the policy",
        "rl/learner.py",
        "reference_N = self._frozen(REFERENCE, packed)",
        'reference_N = self._frozen("default", packed)',
        (REFERENCE,),
    ),
    Mutation(
        "5.12",
        "adapters with dropout are taken",
        "rl/learner.py",
        "        _refuse_dropout(self.model)\n",
        "",
        (LEARNER + "test_dropout_in_the_settings_or_in_the_warm_up_is_refused",),
    ),
    Mutation(
        "5.12",
        "attention drops weights while training",
        "sft/policy/attention.py",
        "weights = scores.softmax(-1).to(value.dtype)",
        "weights = torch.nn.functional.dropout(scores.softmax(-1), 0.1).to(value.dtype)",
        (LEARNER + "test_the_same_weights_give_the_same_scores_in_train_mode_bit_for_bit",),
    ),
    Mutation(
        "5.13",
        "the engine scales the adapter twice",
        "sft/policy/cpu_lora.py",
        "addmm_(x[begin:end] @ a, b, alpha=scale)",
        "addmm_(x[begin:end] @ a, b, alpha=2 * scale)",
        (ENGINE + "test_the_scaling_alpha_over_r_reaches_the_engine_once",),
    ),
    Mutation(
        "5.13",
        "the adapter is published without its scaling",
        "sft/policy/base.py",
        '| {"inference_mode": True})',
        '| {"inference_mode": True, "lora_alpha": model.peft_config[adapter_name].r})',
        (GENERATOR + "test_log_probabilities_of_sampled_ids_are_those_of_the_learner[1.0]",),
    ),
    Mutation(
        "5.13",
        "the adapter also changes the head, which the engine leaves out",
        "sft/policy/base.py",
        "if isinstance(layer, (torch.nn.Linear, Conv1D)) and layer is not head",
        "if isinstance(layer, (torch.nn.Linear, Conv1D))",
        ("tests/sft/test_policy.py::test_the_adapter_config_is_what_an_engine_reads",),
    ),
    Mutation(
        "5.14",
        "the engine serves the original weights and the learner trains on 4-bit ones",
        "sft/policy/base.py",
        "layer.weight.data = values.T.contiguous() if turned else values",
        "layer.weight.data = weight.T.contiguous() if turned else weight",
        (
            "tests/sft/test_policy.py::test_the_served_base_gives_the_learners_logits_bit_for_bit[float32]",
            SAME_LOG_PROBS + "[1.0]",
        ),
    ),
    Mutation(
        "5.15",
        "samples come from the newest policy version, whichever was asked for",
        "sft/policy/generator.py",
        "return self._requests[step]",
        "return list(self._requests.values())[-1]",
        (ENGINE + "test_samples_of_an_older_version_are_of_that_version_whatever_was_loaded_since",),
    ),
    Mutation(
        "5.16",
        "every policy version has the same name and path in the engine, which then uses cached prompts of the last one",
        "sft/policy/generator.py",
        'name = f"policy-{version.step}-{version.digest[:8]}-{self._last_id}"',
        'name = "policy"\n        shutil.rmtree(self._adapters / name, ignore_errors=True)',
        (ENGINE + "test_a_prompt_cached_under_one_version_is_computed_anew_under_the_next",),
    ),
    Mutation(
        "5.17",
        "every micro-batch is an optimizer step",
        "rl/learner.py",
        "self._loss(chosen).backward()",
        "self._loss(chosen).backward()\n            self._update(1, 1.0)",
        (LEARNER + "test_a_batch_of_groups_is_one_optimizer_step_clipped_once_all_micro_batches_are_in[64]",),
    ),
    Mutation(
        "5.17",
        "groups without signal no longer count among the samples of a step",
        "rl/learner.py",
        "now.samples += sum(len(group.episodes) for group in groups)",
        "now.samples += sum(len(group.episodes) for group in groups if group.has_signal)",
        (ONE_BY_ONE + "[sequence_mean-100000]",),
    ),
    Mutation(
        "5.17",
        "KL and entropy leave out the groups without advantage",
        "rl/learner.py",
        "if self.algorithm.learns_all or group.has_gradient",
        "if group.has_gradient",
        (LEARNER + "test_kl_and_entropy_act_on_groups_without_advantage_too[sequence_mean-clipped]",),
    ),
    Mutation(
        "5.17",
        "a batch without signal takes a step all the same",
        "rl/types.py",
        "return any(a != 0.0 for a in self.advantages)",
        "return bool(self.advantages)",
        (LEARNER + "test_a_batch_without_signal_takes_no_step_and_says_so",),
    ),
    Mutation(
        "5.18",
        "the positions of an answer go on from the answer before it",
        "sft/policy/packing.py",
        "self.positions += range(position, position + branch.length)",
        "self.positions += range(len(self.positions), len(self.positions) + branch.length)",
        (PACKED + "test_a_packed_group_gives_the_log_probs_of_separate_sequences",),
    ),
    Mutation(
        "5.18",
        "the answers of a question behind a shared schema do not see the schema",
        "sft/policy/attention.py",
        "keys, values = (torch.cat([x[:, : span.prefix], x[:, place.start : end]], 1) for x in (key, value))\n"
        "            behind = Span(0, span.prefix + row.prefix, row.branches)",
        "keys, values = (x[:, place.start : end] for x in (key, value))\n"
        "            behind = Span(0, row.prefix, row.branches)",
        (PACKED + "test_questions_of_one_database_hold_its_schema_once_and_have_the_gradients_of_separate_sequences",),
    ),
    Mutation(
        "5.18",
        "the positions of a question behind a shared schema begin anew",
        "sft/policy/packing.py",
        "rows = tuple([self.add(inner, behind) for inner in row.rows])",
        "rows = tuple([self.add(inner) for inner in row.rows])",
        (PACKED + "test_questions_of_one_database_hold_its_schema_once_and_have_the_gradients_of_separate_sequences",),
    ),
    Mutation(
        "5.18",
        "an answer sees the answers before it",
        "sft/policy/packing.py",
        "if len(row.branches) == 1:",
        "if row.branches:",
        # the check at load finds it, too: the learner goes on with every answer a sequence of its own, and exact
        (LEARNER + "test_an_answer_is_scored_given_its_prompt_and_itself_alone",),
    ),
    Mutation(
        "5.18",
        "an id of an answer sees the one after it",
        "sft/policy/attention.py",
        ".triu(1)",
        ".triu(2)",
        (PACKED + "test_a_packed_group_gives_the_log_probs_of_separate_sequences",),
    ),
    Mutation(
        "5.19",
        "rewards are taken in another order than they were asked for",
        "cluster/pool.py",
        "return [job.result(timeout=0) for job in jobs]",
        "return [job.result(timeout=0) for job in reversed(jobs)]",
        (REWARDS + "test_rewards_keep_their_questions_whatever_the_order_in_which_they_arrive",),
    ),
    Mutation(
        "5.19",
        "verdicts are dealt out to the groups from the end",
        "rl/reward.py",
        "next(verdicts)) for answer in answers] for example, answers in groups]",
        "next(verdicts)) for answer in answers] for example, answers in reversed(groups)][::-1]",
        (REWARDS + "test_a_worker_gives_each_answer_its_own_verdict",),
    ),
    Mutation(
        "5.20",
        "the softmax is taken in bf16",
        "sft/policy/answers.py",
        "(head(hidden_ND).float() / temperature)",
        "(head(hidden_ND) / temperature)",
        ("tests/sft/test_answers.py::test_bf16_logits_are_normalised_in_full_precision",),
    ),
    Mutation(
        "5.20",
        "the logits of all tokens are held at once",
        "sft/policy/answers.py",
        "at_once = max(1, slice_elements // vocabulary)",
        "at_once = max(1, slice_elements)",
        ("tests/sft/test_answers.py::test_no_more_logits_are_held_at_once_than_allowed_and_the_scores_stay_the_same",),
    ),
    Mutation(
        "5.21",
        "every prompt of a call has the same seed",
        "sft/policy/generator.py",
        "prompt_seed(sampling.seed, index)",
        "sampling.seed",
        (SAMPLES_DIFFER,),
    ),
    Mutation(
        "5.21",
        "samples do not replay",
        "sft/policy/generator.py",
        "seed = None if sampling.temperature == 0 else",
        "seed = None if sampling.temperature >= 0 else",
        (SAMPLES_DIFFER,),
    ),
    Mutation(
        "5.22",
        "the warm-up sees the question without the chat around it",
        "sft/policy/encoder.py",
        "TrainingExample(example, encoder.encode(example, *face(example)),",
        "TrainingExample(example, encoder.text_ids(encoder.schema_text(example) + example.question),",
        (TRAINER_IDS,),
    ),
    Mutation(
        "5.22",
        "prompts lack the opening of the answer",
        "sft/policy/chat.py",
        "self._render(messages, add_generation_prompt=True)",
        "self._render(messages, add_generation_prompt=False)",
        ("tests/sft/test_examples.py::test_a_prompt_is_the_chat_up_to_the_opening_of_the_answer",),
    ),
)
