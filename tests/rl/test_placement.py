"""Variables of the actors, from where they are placed."""

import pytest

from rl.placement import Placement, engine_environment, learner_environment

GPU, CPU = Placement(0.5, 0.5), Placement(0, 0, learner_threads=4, engine_threads=2)


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "VLLM_USE_V2_MODEL_RUNNER"):
        monkeypatch.delenv(name, raising=False)


def test_only_a_learner_on_a_gpu_gets_segments_that_grow() -> None:
    assert learner_environment(GPU) == {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    assert learner_environment(CPU) == {"OMP_NUM_THREADS": "4"}
    assert "PYTORCH_CUDA_ALLOC_CONF" not in engine_environment(GPU)


def test_what_the_driver_is_told_about_vllm_reaches_engines_and_no_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "VLLM_USE_V2_MODEL_RUNNER" not in engine_environment(GPU)
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "0")
    assert engine_environment(GPU)["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    assert engine_environment(CPU)["OMP_NUM_THREADS"] == "2"
    assert "VLLM_USE_V2_MODEL_RUNNER" not in learner_environment(GPU)
