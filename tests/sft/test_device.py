"""What depends on the machine, decided from what it says of itself."""

import pytest
import torch

from sft.policy.device import allocator, release_memory


def test_memory_of_a_gpu_in_use_is_given_back_and_a_gpu_that_is_not_used_is_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    release_memory()
    assert not emptied
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release_memory()
    assert emptied == [True]


def test_a_process_that_trains_lets_segments_grow_unless_the_user_has_chosen() -> None:
    assert allocator({"HOME": "/root"}) == {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    assert allocator({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64"}) == {}
    assert allocator({"PYTORCH_ALLOC_CONF": ""}) == {}
