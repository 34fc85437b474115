"""The policy: a frozen base, in 4 bits or not, under a LoRA adapter. Load it, publish the adapter, export the base.

Only the adapter is ever trained, stored with a run and sent to an engine. The engine serves `served_base`: the very
values that the learner computes with, 4-bit weights de-quantised.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import save as to_safetensors
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.quantizer_bnb_4bit import Bnb4BitHfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from evaluation.errors import UserError
from sft.config import LoraConfig, ModelConfig
from sft.policy import attention, dropout
from sft.policy.adapter import CONFIG, WEIGHTS, check_adapter
from sft.policy.chat import Chat
from sft.policy.device import Device, detect, release_memory
from sft.policy.directories import made_once, replacing
from sft.policy.hub import fetched
from sft.policy.model_files import local_model, missing_weights, require_text_model

if TYPE_CHECKING:  # seconds to import, and not needed to serve a base that is in the cache
    import bitsandbytes
    import peft

transformers.utils.logging.disable_progress_bar()

SCORE = "score"
"""How transformers calls the head of a sequence classifier."""
_SAMPLED_ABOVE = 64 * 2**20  # bytes; larger files are fingerprinted by evenly spaced blocks


@dataclass(frozen=True)
class PolicyVersion:
    """An adapter as it travels.

    step: the number of updates it has seen; adapter: safetensors bytes in PEFT's key layout, in the dtype of the base;
    adapter_config: the text of adapter_config.json; digest: sha256 over both, 64 hex digits.
    """

    step: int
    adapter: bytes
    adapter_config: str
    digest: str


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the model at `path`. UserError: there is none, it has no end token, or its chat template is
    missing or takes no question."""
    directory = model_directory(path)
    with _explained(f"the tokenizer in {directory}"):
        tokenizer = _tokenizer(directory)
    if not tokenizer.chat_template or tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer in {directory} must have a chat template and an end-of-text token")
    try:
        Chat(tokenizer).check()
    except UserError as error:
        raise UserError(f"the tokenizer in {directory}: {error}") from error
    return tokenizer


def load_model(
    model: ModelConfig, lora: LoraConfig | None = None, adapter: Path | None = None, trainable: bool = True
) -> peft.PeftModel:
    """The base with a LoRA adapter: the saved one of `adapter`, or a new one of `lora` that changes nothing yet.

    Base weights keep model.dtype (norms and head are not upcast: the engine does not either); adapter weights are fp32
    for the optimizer. The model is left in train mode with gradients off the base. A new adapter draws from torch's
    global generator: seed it before.
    """
    import peft

    base = load_base(model)
    if adapter is not None:
        check_adapter(adapter, model_directory(model.path))
        with _explained(f"the adapter in {adapter}"):
            policy = peft.PeftModel.from_pretrained(base, str(adapter), is_trainable=trainable)
    elif lora is not None:
        policy = peft.get_peft_model(base, _peft_config(base, lora))
    else:
        raise ValueError("load_model needs lora or adapter")
    return policy.train()


def load_whole(model: ModelConfig) -> PreTrainedModel:
    """The base with every weight learning, in fp32 whatever model.dtype is: bf16 would lose small updates."""
    base = load_base(model.model_copy(update={"quantization": "none", "dtype": "float32"}))
    base.requires_grad_(True)
    return cast(PreTrainedModel, base.train())


def load_base(model: ModelConfig, device: Device | None = None) -> PreTrainedModel:
    """The base alone, on the device; every linear layer but the head in NF4 with double quantisation if asked for."""
    options = _options(model, device or detect())
    return _on_cpus_too(_frozen(_from_directory(model_directory(model.path), options), model))


def load_scorer(model: ModelConfig) -> PreTrainedModel:
    """The base with a head of one number at the last token instead of its own; the rest as `load_base` has it."""
    options = _options(model, detect(), skipped=[SCORE]) | {"num_labels": 1}
    kind, said = transformers.AutoModelForSequenceClassification, transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # it would report that the head is new
    try:
        return _on_cpus_too(_frozen(_from_directory(model_directory(model.path), options, kind), model))
    finally:
        transformers.utils.logging.set_verbosity(said)


def _options(model: ModelConfig, device: Device, skipped: list[str] | None = None) -> dict[str, Any]:
    dtype = device.torch_dtype(model.dtype)
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": device.torch_device}}
    return options | ({"quantization_config": _nf4(dtype, skipped)} if model.quantization == "nf4" else {})


def scorer_config(model: ModelConfig, lora: LoraConfig) -> peft.LoraConfig:
    """Of the adapter of a `load_scorer`, whose head learns with it."""
    import peft

    layers = adapted_layers(model_directory(model.path))
    settings = {"r": lora.r, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout, "bias": "none"}
    return peft.LoraConfig(target_modules=layers, modules_to_save=[SCORE], task_type="SEQ_CLS", **settings)


def _on_cpus_too(base: PreTrainedModel) -> PreTrainedModel:
    for _, layer in _four_bit_layers(base):
        # On a CPU bitsandbytes would repack the weights at the first eval-mode forward, and training break after it.
        layer.support_avx512bf16_for_cpu = False
    return base


def _frozen(base: PreTrainedModel, model: ModelConfig) -> PreTrainedModel:
    attention.uninstall(base)
    dropout.silence(base)
    base.requires_grad_(False)
    base.config.use_cache = False
    base.name_or_path = model.path
    return base


def keep_input_dtype(policy: peft.PeftModel) -> None:
    """Under autocast the products are in bf16 anyway: casting activations up to the adapter's fp32 first would only
    cost time, and in the recomputation of gradient checkpointing memory too."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in policy.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False


def publish(model: peft.PeftModel, step: int, adapter_name: str = "default") -> PolicyVersion:
    """The adapter as bytes, in the dtype of the base (what an engine would cast it to)."""
    import peft

    dtype = model.get_base_model().dtype
    state = peft.get_peft_model_state_dict(model, adapter_name=adapter_name)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in sorted(state.items())}
    config = _plain_json(model.peft_config[adapter_name].to_dict() | {"inference_mode": True})
    return _version(step, to_safetensors(tensors, metadata={"format": "pt"}), config)


def save_adapter(version: PolicyVersion, directory: Path, extra: Mapping[str, str] | None = None) -> None:
    """Write the adapter in PEFT's layout, with `extra` text files by name, whole or not at all."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with replacing(directory) as partial:
        (partial / WEIGHTS).write_bytes(version.adapter)
        (partial / CONFIG).write_text(version.adapter_config)
        for name, text in (extra or {}).items():
            (partial / name).write_text(text)


def save_model(model: PreTrainedModel, source: str, dtype: str, directory: Path, extra: Mapping[str, str]) -> None:
    """Write a model in `dtype` with the tokenizer files of the model `source`, whole or not at all."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with replacing(directory) as partial:
        _write_model(model, model_directory(source), dtype, partial)
        for name, text in extra.items():
            (partial / name).write_text(text)


def _write_model(model: PreTrainedModel, source: Path, dtype: str, out: Path) -> None:
    """Weights and config; tokenizer and generation settings as `source` has them, whatever transformers thinks of its
    values. Tied weights are stored once."""
    own = model.generation_config
    ends = {name: getattr(own, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = transformers.GenerationConfig(**ends)
    try:
        model.save_pretrained(out, state_dict=_in_dtype(model.state_dict(), getattr(torch, dtype)))
    finally:
        model.generation_config = own
    published = json.loads((source / "config.json").read_text())
    changes = {"dtype": dtype, "use_cache": published.get("use_cache", True)}  # while it learns both are others
    config = json.loads((out / "config.json").read_text()) | changes
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in tokenizer_files(source):
        shutil.copyfile(file, out / file.name)


def _in_dtype(weights: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """On the CPU; what shared its memory still does."""
    copies: dict[tuple[int, torch.Size], torch.Tensor] = {}
    found = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tensor.shape)
        if place not in copies:
            copies[place] = tensor.detach().to("cpu", dtype)
        found[name] = copies[place]
    return found


def tokenizer_files(directory: Path) -> list[Path]:
    """Files of a model's directory that belong to its tokenizer and its chat."""
    known = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab*", "merges.txt")
    return sorted({f for pattern in (*known, "*.model", "generation_config.json") for f in directory.glob(pattern)})


def read_adapter(directory: Path, step: int = 0) -> PolicyVersion:
    """The adapter saved in `directory`, byte for byte."""
    check_adapter(directory)
    return _version(step, (directory / WEIGHTS).read_bytes(), (directory / CONFIG).read_text())


def served_base(model: ModelConfig, cache_dir: Path | None = None) -> Path:
    """A directory in Hugging Face layout with the values that the learner computes with; made once, then reused.

    Without quantisation and in its own dtype the model serves itself. Cached per content, quantisation and dtype under
    $ROLLSQL_CACHE or ~/.cache/rollsql.
    """
    source, dtype = model_directory(model.path), detect().computes_in(model.dtype)
    if model.quantization == "none" and _stored_dtype(source) == model.dtype:
        return source
    root = cache_dir or Path(os.environ.get("ROLLSQL_CACHE") or Path.home() / ".cache" / "rollsql")
    target = root / "served" / f"{fingerprint(model.path)[:32]}-{model.quantization}-{dtype}"

    def fill(partial: Path) -> None:
        _write_model(dequantised_model(model), source, dtype, partial)

    made = made_once(target, fill, is_whole=lambda served: not missing_weights(served))
    release_memory()
    return made


def dequantised_model(model: ModelConfig) -> PreTrainedModel:
    """The base in model.dtype, each weight that the learner has in 4 bits replaced by the value that its matmul sees.

    It lies in the host's memory, and goes to the device and back a layer at a time: a GPU need not hold it.
    """
    device = detect()
    dtype = device.torch_dtype(model.dtype)
    plain = _frozen(_from_directory(model_directory(model.path), {"dtype": dtype, "device_map": {"": "cpu"}}), model)
    if model.quantization == "nf4":
        for layer in _to_be_quantised(plain, _nf4(dtype)):
            turned = isinstance(layer, Conv1D)  # which holds its matrix the other way round
            weight = (layer.weight.data.T if turned else layer.weight.data).contiguous()
            values = _through_nf4(weight.to(device.torch_device)).to("cpu", dtype)
            layer.weight.data = values.T.contiguous() if turned else values
    return plain


def _to_be_quantised(base: PreTrainedModel, config: transformers.BitsAndBytesConfig) -> Iterator[Any]:
    """The layers that transformers loads in 4 bits."""
    quantizer = Bnb4BitHfQuantizer(config)
    kept = quantizer.get_modules_to_not_convert(base, config.llm_int8_skip_modules, base._keep_in_fp32_modules)
    for name, layer in base.named_modules():
        if should_convert_module(name, kept) and (type(layer) is torch.nn.Linear or isinstance(layer, Conv1D)):
            yield layer


def _through_nf4(weight: torch.Tensor) -> torch.Tensor:
    """Rounded to NF4 with double quantisation, where it lies."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    return dequantize_4bit(*quantize_4bit(weight, quant_type="nf4", compress_statistics=True))


def model_directory(path: str) -> Path:
    """The local directory of a model: `path` itself, or a Hugging Face name fetched once. UserError when neither."""
    return _text_model(local_model(path) or fetched(path))


def _text_model(directory: Path) -> Path:
    require_text_model(directory)
    return directory


def fingerprint(path: str) -> str:
    """64 hex digits over config, weights and tokenizer of a model; large files by 64 evenly spaced MiB."""
    directory, digest = model_directory(path), hashlib.sha256()
    for file in sorted(directory.glob("*")):
        if file.is_file() and file.suffix in (".json", ".safetensors", ".bin", ".jinja", ".model", ".txt"):
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
            for block in _blocks(file):
                digest.update(block)
    return digest.hexdigest()


def adapted_layers(directory: Path) -> list[str]:
    """`linear_layers` of the model in a directory, without its weights. Experts that are one tensor for all are not
    among them, so that an engine keeps no room for their adapters."""
    config = transformers.AutoConfig.from_pretrained(directory, trust_remote_code=False)
    with torch.device("meta"):
        return linear_layers(transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False))


def linear_layers(base: PreTrainedModel) -> list[str]:
    """The last names of all linear layers, the head excluded: q_proj, up_proj, … as the architecture has them."""
    head = base.get_output_embeddings()
    names = {
        name.rsplit(".", 1)[-1]
        for name, layer in base.named_modules()
        if isinstance(layer, (torch.nn.Linear, Conv1D)) and layer is not head
    }
    return sorted(names)


def _tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """AutoTokenizer's, but for a tokenizer that is wholly described by its tokenizer.json: for some architectures
    (qwen2) AutoTokenizer replaces that one's splitting of words by the architecture's own, and so changes every id."""
    settings = directory / "tokenizer_config.json"
    named = json.loads(settings.read_text()).get("tokenizer_class") if settings.is_file() else None
    if named in ("TokenizersBackend", "PreTrainedTokenizerFast"):
        return transformers.PreTrainedTokenizerFast.from_pretrained(directory)
    # Mistral's own library, where it is installed, takes nothing that a chat template takes.
    return transformers.AutoTokenizer.from_pretrained(directory, mistral_format=False)


def _peft_config(base: PreTrainedModel, lora: LoraConfig) -> peft.LoraConfig:
    import peft

    layers = linear_layers(base)
    if not layers:
        raise UserError(f"the model {base.name_or_path} has no linear layers, so there is nothing for a LoRA to adapt")
    return peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=layers,
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in base.modules()),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _nf4(dtype: torch.dtype, skipped: list[str] | None = None) -> transformers.BitsAndBytesConfig:
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=skipped,
    )


def _four_bit_layers(base: PreTrainedModel) -> Iterator[tuple[str, bitsandbytes.nn.Linear4bit]]:
    from bitsandbytes.nn import Linear4bit

    for name, layer in base.named_modules():
        if isinstance(layer, Linear4bit):
            yield name, layer


def _from_directory(
    directory: Path, options: Mapping[str, Any], kind: Any = transformers.AutoModelForCausalLM
) -> PreTrainedModel:
    """UserError for whatever keeps transformers from loading it; code that comes with a model is never run."""
    try:
        return cast(PreTrainedModel, kind.from_pretrained(directory, trust_remote_code=False, **options))
    except Exception as error:  # an architecture that is not known, not causal, lacks a library, has other shapes …
        if isinstance(error, ValueError) and "trust_remote_code" in str(error):
            why = "it needs custom code of its own (auto_map in config.json), which is not run: give a model whose "
            why += "architecture transformers has"
        else:
            why = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise UserError(f"the model in {directory} cannot be loaded: {why}") from error


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{what} cannot be loaded: {error}") from error


def _version(step: int, adapter: bytes, config: str) -> PolicyVersion:
    return PolicyVersion(step, adapter, config, hashlib.sha256(adapter + b"\0" + config.encode()).hexdigest())


def _plain_json(values: Mapping[str, Any]) -> str:
    """JSON with sorted keys; sets as sorted lists, enums as their values."""

    def convert(value: Any) -> Any:
        return sorted(value) if isinstance(value, set) else getattr(value, "value", str(value))

    return json.dumps(values, indent=2, sort_keys=True, default=convert) + "\n"


def _stored_dtype(directory: Path) -> str:
    config = json.loads((directory / "config.json").read_text())
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def _blocks(file: Path) -> Iterator[bytes]:
    size, block = file.stat().st_size, 2**20
    step = block if size <= _SAMPLED_ABOVE else (size - block) // 63
    with file.open("rb") as stream:
        for start in range(0, size, step):
            stream.seek(start)
            yield stream.read(block)
