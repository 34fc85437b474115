"""The room for a KV cache, in numbers: no GPU is asked."""

import pytest

from cluster.fit import GIB
from evaluation.errors import UserError
from sft.policy.engine_memory import Served, check_kv_cache, engine_memory, kv_cache_gib
from sft.policy.shapes import shape_of

SEVEN = Served(shape_of("Qwen/Qwen2.5-Coder-7B-Instruct"), "bfloat16", max_length=1024, rank=32)


def test_the_cache_gets_what_is_left_of_a_24_gib_card_beside_7b_weights() -> None:
    beside = sum(engine_memory(SEVEN, 0.0).values()) / GIB
    # weights 14.18, three adapters of 154 MiB, a forward 1.18, logits of 1,024 rows 1.45, graphs 0.6, CUDA 0.8
    assert beside == pytest.approx(14.18 + 0.45 + 1.18 + 1.45 + 0.6 + 0.8, abs=0.05)
    found = kv_cache_gib(SEVEN, 24.0)
    assert found == pytest.approx(0.95 * 24 - beside)
    assert beside + found <= 0.95 * 24


def test_a_large_card_is_not_filled_beyond_what_all_sequences_take() -> None:
    # 256 sequences x 1,024 tokens x 57,344 bytes = 14 GiB
    assert SEVEN.kv_token == 57_344
    assert kv_cache_gib(SEVEN, 80.0) == 14.0


def test_a_card_without_room_for_one_context_is_refused_with_the_size_that_is_needed() -> None:
    with pytest.raises(UserError, match=r"at least (\S+) GiB is needed .*weights, bfloat16 14.2.*this one has 16.0"):
        kv_cache_gib(SEVEN, 16.0)
    needed = (sum(engine_memory(SEVEN, 0.0).values()) + 1024 * 57_344) / 0.95 / GIB
    assert kv_cache_gib(SEVEN, needed + 0.001) * GIB == pytest.approx(1024 * 57_344, rel=0.02)
    with pytest.raises(UserError):
        kv_cache_gib(SEVEN, needed - 0.001)


def test_on_a_cpu_the_cache_is_small_and_holds_a_context_all_the_same() -> None:
    assert kv_cache_gib(SEVEN, 0.0) == 0.5
    long = Served(SEVEN.shape, "bfloat16", max_length=32_768, rank=32)
    assert kv_cache_gib(long, 0.0) * GIB == 2 * 32_768 * 57_344


def test_a_given_cache_must_hold_one_context_and_fit_beside_the_weights() -> None:
    check_kv_cache("engine.kv_cache_gib", 1.0, 16 * GIB, SEVEN)
    check_kv_cache("engine.kv_cache_gib", 1024 * 57_344 / GIB, 16 * GIB, SEVEN)
    with pytest.raises(UserError, match="engine.kv_cache_gib = 0.05 GiB is too small: one context .* 1024 tokens"):
        check_kv_cache("engine.kv_cache_gib", 0.05, 16 * GIB, SEVEN)
    with pytest.raises(UserError, match="= 3 GiB is more than there is: beside 14 GiB .* the 16 GiB .* leave 1.01"):
        check_kv_cache("engine.kv_cache_gib", 3.0, 16 * GIB, SEVEN)
    with pytest.raises(UserError, match="more than there is"):
        check_kv_cache("engine.kv_cache_gib", 1.1, 16 * GIB, SEVEN)  # something is left for all else
    two = Served(SEVEN.shape, "bfloat16", 1024, 32, shards=2)
    check_kv_cache("engine.kv_cache_gib", 3.0, 16 * GIB, two)  # each card has half of the weights


def test_before_the_shape_is_known_a_cache_must_only_be_less_than_the_memory() -> None:
    check_kv_cache("engine.kv_cache_gib", 15.9, 16 * GIB)
    check_kv_cache("engine.kv_cache_gib", 1e-5, 16 * GIB)
    with pytest.raises(UserError, match="= 17 GiB is more than there is: the 16 GiB of memory here leave 16, so lower"):
        check_kv_cache("engine.kv_cache_gib", 17, 16 * GIB)
