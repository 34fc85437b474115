"""The policy as a sampler: vLLM in this process, one LoRA adapter per policy version.

The only module that imports vLLM (lazily, in `Generator.__init__`). Token ids in, token ids and log-probabilities out.

Each policy version is registered under a name, an id and a path that were never used before, because vLLM caches prefix
blocks by adapter name and weights by id. vLLM also accepts an adapter whose module names match nothing and then serves
the base in silence, so `Generator.load` looks into the engine's LoRA buffers and counts the modules that hold weights.

    GeneratorError(RuntimeError)
    ├── AdapterNotApplied    an adapter was accepted, but not all of its modules are live
    └── VersionNotLoaded     a policy version was asked for that is not (or no longer) registered
"""

from __future__ import annotations

import gc
import math
import os
import shutil
import tempfile
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import UserError
from sft.policy.adapter import snap_rank
from sft.policy.chat import Chat
from sft.policy.device import detect, release_memory
from sft.policy.directories import HeldDirectory, roomy
from sft.policy.model_files import context_length, stop_token_ids
from sft.policy.sampling import Sample, Sampling, Stats, prompt_seed
from sft.policy.shapes import local_shape

if TYPE_CHECKING:
    from sft.policy.base import PolicyVersion

__all__ = [
    "AdapterNotApplied",
    "Generator",
    "GeneratorConfig",
    "GeneratorError",
    "Sample",
    "Sampling",
    "Stats",
    "VersionNotLoaded",
]

Heard = Callable[[list[int]], None]
_ASKED_OF_GPU = 0.05
"""vLLM refuses to start unless this share of the GPU is free. What it takes is weights and kv_cache_gib, so that a
learner may hold the rest."""
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine core lives in this process: nothing to spawn, nothing to leak
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # threads follow OMP_NUM_THREADS, cores are shared with reward workers
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Of each, unless it is set already. VLLM_USE_V2_MODEL_RUNNER=0 goes back to the runner that CPUs use, should the one
that vLLM takes on a GPU fail."""


class GeneratorError(RuntimeError):
    """The engine does not serve what it was asked to serve."""


class AdapterNotApplied(GeneratorError):
    """An adapter was registered, but not all of its modules reached the engine's weights."""


class VersionNotLoaded(GeneratorError):
    """Sampling from a policy version that is not registered."""


@dataclass(frozen=True)
class GeneratorConfig:
    """What the engine serves, and within which memory.

    `model` is a local directory in Hugging Face layout. `max_lora_rank` is rounded up to a rank that vLLM allows.
    `stop_token_ids` are added to the end-of-sequence ids that the directory names and the end of a turn in its chat.
    """

    model: str
    dtype: str = "bfloat16"
    max_model_len: int = 1024
    max_lora_rank: int = 16
    kv_cache_gib: float = 0.25
    seed: int = 0
    max_num_seqs: int = 256
    live_versions: int = 2  # policy versions kept registered; older ones are dropped by `load`
    tensor_parallel: int = 1  # GPUs that hold one copy of the model together
    stop_token_ids: tuple[int, ...] = ()
    grammars: bool = False  # whether prompts may come with one: vLLM then reads the tokenizer as well


@dataclass
class _Ticket:
    """Prompts that were submitted together. outputs: by place, None until finished; taken: how many were handed out."""

    outputs: list[Any]
    heard: Heard | None = None  # told the ids so far of one answer as it is written
    taken: int = 0
    waiting: int = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = len(self.outputs)

    def pop_ready(self) -> list[Any]:
        """The finished outputs that follow those handed out, up to the first gap."""
        left = self.outputs[self.taken :]
        ready = list(takewhile(lambda output: output is not None, left))
        self.taken += len(ready)
        return ready


@dataclass(frozen=True)
class _Queued:
    """Prompts of a ticket that vLLM has not been given yet. alone: they share no batch and no cached prefix."""

    ticket: str
    prompts: Sequence[list[int]]
    params: Sequence[Any]
    lora_request: Any
    alone: bool


class Generator:
    """A vLLM engine that samples from policy versions. Not thread-safe: one caller at a time.

    What shares a batch with others, or begins with a prefix that is cached, may differ in the last bits. So prompts
    that are submitted `alone` wait for those before them, begin without cached prefixes, and those behind them wait:
    the same prompts, policy and seeds then give the same samples, whatever else the engine did. On a GPU, where batches
    do not repeat bit for bit anyway, nothing waits.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        """Start the engine. Raises UserError when `config.model` is not a model directory."""
        self.config = config
        self.stop_token_ids = _stop_ids(config)
        _check_context(config)
        self.stats = Stats()
        self._engine = _start_engine(config)
        self._requests: dict[int, Any] = {}  # step -> LoRARequest, oldest first
        self._last_id = 0
        self._request_number = 0
        self._open: dict[str, _Ticket] = {}
        self._places: dict[str, tuple[str, int]] = {}  # request id -> its ticket, and its place there
        self._queued: deque[_Queued] = deque()
        self._alone = False  # whether what vLLM works on is to share nothing
        held = HeldDirectory(roomy(_free_bytes(), _adapters_bytes(config)), "rollsql-adapters-")
        self._adapters, self._cleanup = held.path, weakref.finalize(self, held.release)

    def load(self, version: PolicyVersion) -> str:
        """Register a policy version and drop old ones; returns the adapter's name in the engine.

        Raises AdapterNotApplied, and then leaves the versions that were there untouched.
        """
        from vllm.lora.request import LoRARequest

        self._last_id += 1
        name = f"policy-{version.step}-{version.digest[:8]}-{self._last_id}"
        path = _write_adapter(self._adapters / name, version)
        request = LoRARequest(lora_name=name, lora_int_id=self._last_id, lora_path=str(path))
        try:
            self._engine.add_lora(request)
            self._check_applied(request, version)
        except BaseException:
            self._drop(request)
            raise
        replaced = self._requests.pop(version.step, None)
        self._requests[version.step] = request
        oldest = list(self._requests)[: -self.config.live_versions]
        for old in [replaced, *(self._requests.pop(step) for step in oldest)]:
            if old is not None:
                self._drop(old)
        return name

    def sample(
        self,
        prompts: Sequence[list[int]],
        sampling: Sampling,
        step: int | None,
        numbers: Sequence[int] | None = None,
        grammars: Sequence[str] | None = None,
    ) -> list[list[Sample]]:
        """`sampling.n` samples for each prompt, in order, from policy version `step` (None: the base, no adapter).

        numbers, grammars: as `submit` takes them. Raises UserError for a prompt that leaves no room for an answer and
        VersionNotLoaded.
        """
        ticket = f"sample {self._request_number}"
        self.submit(ticket, prompts, sampling, step, numbers, grammars=grammars)
        return self.take(ticket)

    def submit(
        self,
        ticket: str,
        prompts: Sequence[list[int]],
        sampling: Sampling,
        step: int | None,
        numbers: Sequence[int] | None = None,
        alone: bool = False,
        grammars: Sequence[str] | None = None,
    ) -> None:
        """Queue prompts behind those that wait; `take(ticket)` works on them. Several tickets may be open at once.

        numbers: the number of each prompt among all of a step, from which its seed follows; its place by default.
        alone: the samples must be the same whatever else is asked of this engine. grammars: what the answer to each
        prompt may be, as `graph.grammar` writes it; "" leaves it free. Raises as `sample` does.
        """
        self._check_prompts(prompts)
        numbers = range(len(prompts)) if numbers is None else numbers
        allowed = grammars or [""] * len(prompts)
        assert self.config.grammars or not any(allowed), "the engine was started for free sampling"
        pairs = zip(numbers, allowed, strict=True)
        params = [_sampling_params(sampling, number, self.stop_token_ids, grammar=rules) for number, rules in pairs]
        self._enqueue(ticket, prompts, params, step, alone and detect().kind == "cpu")

    def take(self, ticket: str, within_s: float = math.inf) -> list[list[Sample]]:
        """Samples of the ticket's next prompts, in order: all that are left, or those that are there after within_s.

        Empty when the ticket has been taken whole. Other tickets' prompts advance with it.
        """
        if ticket not in self._open:
            return []
        started = time.perf_counter()
        finished = self._advance(ticket, started + within_s)
        samples = [[_to_sample(output) for output in request.outputs] for request in finished]
        self.stats.seconds += time.perf_counter() - started
        self.stats.prompts += len(samples)
        self.stats.samples += sum(map(len, samples))
        self.stats.tokens += sum(len(sample.token_ids) for group in samples for sample in group)
        return samples

    def stream(
        self, ticket: str, prompt: list[int], sampling: Sampling, step: int | None, heard: Heard, grammar: str = ""
    ) -> None:
        """As `submit` of one prompt with one sample; `heard` is told the ids so far while it is written."""
        self._check_prompts([prompt])
        assert sampling.n == 1, "one answer is heard at a time"
        params = _sampling_params(sampling, 0, self.stop_token_ids, cumulative=True, grammar=grammar)
        self._enqueue(ticket, [prompt], [params], step)
        self._open[ticket].heard = heard

    def advance(self) -> list[str]:
        """One step of the engine; the tickets that are whole by now, for `take` to hand out at once."""
        self._step()
        return [ticket for ticket, place in self._open.items() if not place.waiting]

    def cancel(self, ticket: str) -> None:
        """Nobody waits for it any longer."""
        if ticket in self._open:
            self._abandon(ticket)
            self._admit()

    def score(
        self, prompts: Sequence[list[int]], completions: Sequence[list[int]], step: int | None
    ) -> list[list[float]]:
        """Log-probabilities (temperature 1) of each completion's ids, given its prompt, under policy version `step`."""
        sequences = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
        self._check_prompts(sequences)
        ticket = f"score {self._request_number}"
        self._enqueue(ticket, sequences, [_scoring_params(self.stop_token_ids)] * len(sequences), step)
        outputs = self._advance(ticket, math.inf)
        pairs = zip(outputs, completions, strict=True)
        return [_last_logprobs(output.prompt_logprobs, len(completion)) for output, completion in pairs]

    def loaded(self) -> dict[int, str]:
        """Live policy versions: step -> adapter name, oldest first."""
        return {step: request.lora_name for step, request in self._requests.items()}

    def close(self) -> None:
        """Stop the engine, leave torch.distributed as it was found, delete the adapter files."""
        from vllm.distributed import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        cleanup_dist_env_and_memory()
        self._cleanup()

    def _enqueue(
        self, ticket: str, prompts: Sequence[list[int]], params: Sequence[Any], step: int | None, alone: bool = False
    ) -> None:
        lora_request = self._lora_request(step)
        assert ticket not in self._open, f"the ticket {ticket!r} is in use"
        if prompts:
            self._open[ticket] = _Ticket([None] * len(prompts))
            self._queued.append(_Queued(ticket, prompts, params, lora_request, alone))
        self._admit()

    def _admit(self) -> None:
        """Gives vLLM what is queued, up to the first that must wait."""
        while self._queued and not (self._places and (self._alone or self._queued[0].alone)):
            queued = self._queued.popleft()
            self._alone = queued.alone
            if queued.alone:
                assert self._engine.reset_prefix_cache(), "nothing is in flight that could hold a cached block"
            for index, (prompt, param) in enumerate(zip(queued.prompts, queued.params, strict=True)):
                self._request_number += 1
                request_id = str(self._request_number)
                self._places[request_id] = (queued.ticket, index)
                tokens = {"prompt_token_ids": prompt}
                self._engine.add_request(request_id, tokens, param, lora_request=queued.lora_request)

    def _advance(self, ticket: str, deadline: float) -> list[Any]:
        """Step the engine until the ticket is whole, or until the deadline; its next outputs in order."""
        if ticket not in self._open:
            return []
        place = self._open[ticket]
        try:
            while place.waiting:
                self._step()
                if time.perf_counter() >= deadline:
                    break
        except BaseException:
            self._abandon(ticket)
            raise
        ready = place.pop_ready()
        if place.taken == len(place.outputs):
            del self._open[ticket]
            release_memory()
        return ready

    def _step(self) -> None:
        for output in self._engine.step():
            if output.finished:
                self._deliver(output)
            elif heard := self._open[self._places[output.request_id][0]].heard:
                heard(list(output.outputs[0].token_ids))
        self._admit()

    def _deliver(self, output: Any) -> None:
        ticket, index = self._places.pop(output.request_id)
        self._open[ticket].outputs[index] = output
        self._open[ticket].waiting -= 1

    def _abandon(self, ticket: str) -> None:
        requests = [request_id for request_id, (owner, _) in self._places.items() if owner == ticket]
        self._engine.abort_request(requests)
        for request_id in requests:
            del self._places[request_id]
        self._queued = deque(queued for queued in self._queued if queued.ticket != ticket)
        del self._open[ticket]

    def _lora_request(self, step: int | None) -> Any:
        if step is None:
            return None
        if step not in self._requests:
            raise VersionNotLoaded(f"policy version {step} is not loaded; live versions: {sorted(self._requests)}")
        return self._requests[step]

    def _check_prompts(self, prompts: Sequence[list[int]]) -> None:
        limit = self.config.max_model_len
        for index, prompt in enumerate(prompts):
            if not 0 < len(prompt) < limit:
                raise UserError(
                    f"a prompt must have 1 to {limit - 1} tokens to leave room for an answer in the context of "
                    f"{limit}, prompt {index} has {len(prompt)}; drop it or raise max_model_len"
                )

    def _check_applied(self, request: Any, version: PolicyVersion) -> None:
        expected = adapter_modules(version.adapter)
        applied = self._engine.collective_rpc(lambda worker: _live_modules(worker, request.lora_int_id))[0]
        if applied != len(expected):
            raise AdapterNotApplied(
                f"policy version {version.step}: all {len(expected)} modules of its adapter must be live in the engine,"
                f" {applied} are; its module names (first: {expected[0] if expected else 'none'!r}) must be those of "
                f"the served model {self.config.model}"
            )

    def _drop(self, request: Any) -> None:
        self._engine.remove_lora(request.lora_int_id)
        shutil.rmtree(request.lora_path, ignore_errors=True)


def _stop_ids(config: GeneratorConfig) -> list[int]:
    from sft.policy.base import load_tokenizer

    named = stop_token_ids(Path(config.model))
    return sorted({*named, Chat(load_tokenizer(config.model)).end_id, *config.stop_token_ids})


def _check_context(config: GeneratorConfig) -> None:
    longest = context_length(Path(config.model))
    if longest is not None and config.max_model_len > longest:
        raise UserError(
            f"the context must be at most the {longest} positions of the model {config.model}, "
            f"got max_model_len = {config.max_model_len}"
        )


def adapter_modules(adapter: bytes) -> list[str]:
    """Names of the modules that an adapter (safetensors bytes, PEFT layout) changes: those whose A is not all zero."""
    from safetensors.torch import load

    suffix = ".lora_A.weight"
    return sorted(name.removesuffix(suffix) for name, a in load(adapter).items() if name.endswith(suffix) and a.any())


def _start_engine(config: GeneratorConfig) -> Any:
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import torch

    on_cpu = detect().kind == "cpu"
    if on_cpu:
        torch._dynamo.config.disable = True  # vLLM would compile one small function, which needs a C++ compiler
    set_num_threads, preload = torch.set_num_threads, os.environ.get("LD_PRELOAD")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of vLLM about torch: nothing a user can do
            engine = _vllm_engine(config, on_cpu)
    except ValueError as error:
        if "cache blocks" in str(error) or "KV cache" in str(error):
            raise UserError(
                f"the KV cache must hold at least one context of {config.max_model_len} tokens, and "
                f"kv_cache_gib = {config.kv_cache_gib} is too small or more than there is; vLLM says: {error}"
            ) from error
        raise
    finally:  # vLLM changes both for the whole process, and child processes inherit the second
        torch.set_num_threads = set_num_threads
        os.environ.pop("LD_PRELOAD", None)
        if preload is not None:
            os.environ["LD_PRELOAD"] = preload
    if on_cpu:
        engine.collective_rpc(_install_cpu_lora)
    return engine


def _vllm_engine(config: GeneratorConfig, on_cpu: bool) -> Any:
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    from sft.policy.base import adapted_layers

    slots = config.live_versions + 1  # a new version is registered before the oldest is dropped
    args = EngineArgs(
        model=config.model,
        dtype=detect().computes_in(config.dtype),
        seed=config.seed,
        skip_tokenizer_init=not config.grammars,
        structured_outputs_config={"backend": "xgrammar"},
        config_format="hf",  # a consolidated copy beside the weights would make vLLM read Mistral's own format
        load_format="hf",
        generation_config="vllm",  # nothing of the model's generation_config.json may leak into sampling
        max_model_len=config.max_model_len,
        max_num_seqs=config.max_num_seqs,
        max_num_batched_tokens=max(2048 if on_cpu else 8192, config.max_model_len),
        enable_chunked_prefill=not on_cpu,  # a prompt cut in two makes vLLM rewind a seed, which a CPU cannot
        kv_cache_memory_bytes=int(config.kv_cache_gib * 2**30),
        **({} if on_cpu else {"gpu_memory_utilization": _ASKED_OF_GPU}),
        enable_prefix_caching=True,
        enable_lora=True,
        max_loras=slots,
        max_cpu_loras=slots,
        max_lora_rank=snap_rank(config.max_lora_rank),
        lora_target_modules=adapted_layers(Path(config.model)) or None,
        logprobs_mode="processed_logprobs",
        max_logprobs=1,
        enforce_eager=on_cpu,
        tensor_parallel_size=config.tensor_parallel,
        use_tqdm_on_load=False,
        disable_log_stats=True,
    )
    _require_adapters(args)
    gc.freeze()  # vLLM collects again and again, and freezes in the end: what was imported need not be looked at
    return LLMEngine.from_engine_args(args)


def _require_adapters(args: Any) -> None:
    """UserError unless vLLM has the model's architecture, and takes adapters for it."""
    from vllm.model_executor.models import supports_lora

    try:
        config = args.create_model_config()
        architecture, _ = config.registry.resolve_model_cls(config.architectures, config)
    except ValueError as error:
        said = str(error).partition("Value error, ")[2] or str(error)  # pydantic wraps what vLLM says
        why = said.strip().partition("\n")[0].partition(" [type=")[0][:300]
        raise UserError(f"the engine cannot serve the model {args.model}: {why}") from error
    if not supports_lora(architecture):
        raise UserError(
            f"the engine cannot serve the model {args.model}: vLLM takes no adapters for {architecture.__name__}, so "
            "neither its evaluation nor RL can run; give a model of another architecture"
        )


def _sampling_params(
    sampling: Sampling, index: int, stop_ids: list[int], cumulative: bool = False, grammar: str = ""
) -> Any:
    seed = None if sampling.temperature == 0 else prompt_seed(sampling.seed, index)
    return _params(
        n=sampling.n,
        temperature=sampling.temperature,
        seed=seed,
        max_tokens=sampling.max_tokens,
        logprobs=0,
        stop_token_ids=stop_ids,
        cumulative=cumulative,
        grammar=grammar,
    )


def _scoring_params(stop_ids: list[int]) -> Any:
    return _params(
        n=1, temperature=1.0, seed=None, max_tokens=1, logprobs=None, stop_token_ids=stop_ids, prompt_logprobs=0
    )


def _params(cumulative: bool = False, grammar: str = "", **given: Any) -> Any:
    """Every field that shapes the distribution is spelled out: the full softmax at temperature T, nothing else; with a
    grammar, over the tokens that it allows."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    return SamplingParams(
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        stop=None,
        bad_words=None,
        logit_bias=None,
        allowed_token_ids=None,
        min_tokens=0,
        ignore_eos=False,
        include_stop_str_in_output=True,
        detokenize=False,
        flat_logprobs=True,
        structured_outputs=StructuredOutputsParams(grammar=grammar) if grammar else None,
        output_kind=RequestOutputKind.CUMULATIVE if cumulative else RequestOutputKind.FINAL_ONLY,
        **given,
    )


def _to_sample(output: Any) -> Sample:
    token_ids = list(output.token_ids)
    log_probs = list(output.logprobs.logprobs)
    assert len(log_probs) == len(token_ids), (len(log_probs), len(token_ids))
    assert output.finish_reason in ("stop", "length"), output.finish_reason
    return Sample(token_ids, log_probs, output.finish_reason)


def _last_logprobs(prompt_logprobs: Any, count: int) -> list[float]:
    """The log-probabilities of the last `count` prompt tokens; a position may also hold the most likely token."""
    starts = prompt_logprobs.start_indices[len(prompt_logprobs) - count :]
    return [prompt_logprobs.logprobs[start] for start in starts]  # the prompt's own token comes first


def _write_adapter(directory: Path, version: PolicyVersion) -> Path:
    partial = directory.with_name(directory.name + ".tmp")
    partial.mkdir()
    (partial / "adapter_model.safetensors").write_bytes(version.adapter)
    (partial / "adapter_config.json").write_text(version.adapter_config, encoding="utf-8")
    os.rename(partial, directory)
    return directory


def _live_modules(worker: Any, lora_id: int) -> int:
    """Modules whose LoRA buffer holds weights in the slot of `lora_id`, packed projections counted one by one."""
    manager = worker.model_runner.lora_manager._adapter_manager
    manager.activate_adapter(lora_id)
    slot = manager.lora_index_to_id.index(lora_id)
    buffers = (a for module in manager.modules.values() for a in module.lora_a_stacked)
    return sum(bool(a[slot].any()) for a in buffers)


def _install_cpu_lora(worker: Any) -> None:
    from sft.policy.cpu_lora import RunwiseLora

    for wrapper in worker.model_runner.lora_manager._adapter_manager.punica_wrapper_mapping.values():
        RunwiseLora(wrapper).install()


def _free_bytes() -> dict[Path, int]:
    """Where adapters may lie for the few steps that they live, shared memory first."""
    places = [place for place in ("/dev/shm", tempfile.gettempdir()) if os.access(place, os.W_OK)]
    return {Path(place): shutil.disk_usage(place).free for place in places}


def _adapters_bytes(config: GeneratorConfig) -> int:
    """Of all adapter files that are there at once, at most."""
    width = {"bfloat16": 2, "float32": 4}[detect().computes_in(config.dtype)]
    adapter = local_shape(Path(config.model)).adapter_parameters(config.max_lora_rank)
    return (config.live_versions + 1) * width * adapter
