"""Tiny models with random weights, one per family of transformers: 2 layers, 64 wide, the bundled tokenizer's ids."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

BASE: dict[str, Any] = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 0,
}  # fmt: skip
WINDOW = 16
SLIDING, FULL = "sliding_attention", "full_attention"

SHARED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2 window": (
        "Qwen2", {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral window": ("Mistral", {"sliding_window": WINDOW}),
    "phi3": ("Phi3", {"sliding_window": None}),
    "phi3 window": ("Phi3", {"sliding_window": WINDOW}),
    "phi3 longrope": (
        "Phi3",
        {
            "original_max_position_embeddings": 256, "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.1] * 8,
                                "long_factor": [4.0] * 8, "original_max_position_embeddings": 256},
        },
    ),
    "gemma": ("Gemma", {}),
    "gemma2": (
        "Gemma2", {"sliding_window": WINDOW, "attn_logit_softcapping": 0.5, "final_logit_softcapping": 1.0,
                   "query_pre_attn_scalar": 16},
    ),
    "gemma3": (
        "Gemma3Text", {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL], "query_pre_attn_scalar": 16,
                       "final_logit_softcapping": 3.0},
    ),
    "granite": (
        "Granite", {"logits_scaling": 8.0, "attention_multiplier": 0.02, "residual_multiplier": 0.3,
                    "embedding_multiplier": 12.0},
    ),
    "cohere2": ("Cohere2", {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL], "logit_scale": 0.25}),
    "cohere": ("Cohere", {"logit_scale": 0.0625, "use_qk_norm": True}),
    "olmo2": ("Olmo2", {}),
    "olmo3": ("Olmo3", {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL]}),
    "smollm3": ("SmolLM3", {"no_rope_layers": [1, 0]}),
    "starcoder2": (
        "Starcoder2", {"sliding_window": WINDOW, "residual_dropout": 0.1, "embedding_dropout": 0.1,
                       "attention_dropout": 0.1},
    ),
    "gpt_neox": ("GPTNeoX", {"hidden_dropout": 0.1, "attention_dropout": 0.1}),
    "opt": ("OPT", {"ffn_dim": 96, "word_embed_proj_dim": 64, "dropout": 0.1, "layerdrop": 0.5}),
    "phi": ("Phi", {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attention_dropout": 0.1}),
}  # fmt: skip
"""Family → the name of its classes and what its config adds: the packed row is exact."""

EXPERTS: dict[str, Any] = {
    "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip
LINEAR = {"layer_types": ["linear_attention", FULL], "linear_num_value_heads": 4, "linear_num_key_heads": 2,
          "linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4}  # fmt: skip

OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("Bloom", {"n_head": 4, "n_layer": 2, "hidden_dropout": 0.1}),
    "falcon": ("Falcon", {"num_kv_heads": 2, "hidden_dropout": 0.1}),
    "falcon alibi": ("Falcon", {"alibi": True}),
    "stablelm": ("StableLm", {}),
    "mpt": ("Mpt", {"d_model": 64, "n_heads": 4, "n_layers": 2}),
    "gptj": ("GPTJ", {"n_embd": 64, "n_head": 4, "n_layer": 2, "rotary_dim": 8}),
    "codegen": (
        "CodeGen", {"n_embd": 64, "n_head": 4, "n_layer": 2, "rotary_dim": 8, "n_ctx": 256, "n_positions": 256},
    ),
    "gpt2": ("GPT2", {"n_embd": 64, "n_head": 4, "n_layer": 2}),
    "gpt_bigcode": ("GPTBigCode", {"n_embd": 64, "n_head": 4, "n_layer": 2}),
    "gpt_neo": (
        "GPTNeo", {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
                   "window_size": WINDOW},
    ),
    "gpt_oss": ("GptOss", {"sliding_window": WINDOW, **EXPERTS}),
    "mixtral": ("Mixtral", {"router_jitter_noise": 0.1, **EXPERTS}),
    "qwen2_moe": ("Qwen2Moe", {"shared_expert_intermediate_size": 32, **EXPERTS}),
    "qwen3_moe": ("Qwen3Moe", EXPERTS),
    "olmoe": ("Olmoe", EXPERTS),
    "granitemoe": ("GraniteMoe", {"logits_scaling": 4.0, **EXPERTS}),
    "deepseek_v2": (
        "DeepseekV2", {"q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16,
                       "v_head_dim": 8, "n_routed_experts": 4, "first_k_dense_replace": 1, "num_key_value_heads": 4,
                       "n_group": 1, "topk_group": 1, "n_shared_experts": 1, **EXPERTS},
    ),
    "qwen3_next": ("Qwen3Next", {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 32}),
    "qwen3_5": ("Qwen3_5Text", LINEAR),
    "lfm2": ("Lfm2", {"layer_types": ["conv", FULL], "block_ff_dim": 96}),
    "granitemoehybrid": (
        "GraniteMoeHybrid", {"layer_types": ["mamba", "attention"], "mamba_n_heads": 8, "mamba_d_head": 16,
                             "mamba_d_state": 16, "shared_intermediate_size": 64, **EXPERTS},
    ),
    "mamba": ("Mamba", {"state_size": 8}),
    "llama4 text": ("Llama4Text", {"attention_chunk_size": 32, "intermediate_size_mlp": 96, **EXPERTS}),
    "glm4": ("Glm4", {}),
    "ernie4_5": ("Ernie4_5", {}),
    "nemotron": ("Nemotron", {}),
    "hunyuan_v1_dense": ("HunYuanDenseV1", {}),
    "exaone4": ("Exaone4", {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL]}),
    "xglm": ("XGLM", {"d_model": 64, "ffn_dim": 96, "num_layers": 2, "attention_heads": 4}),
    "biogpt": ("BioGpt", {}),
}  # fmt: skip
"""Families that learn one sequence at a time, or packed where that is exact."""


def tiny(classes: str, extra: dict[str, Any], seed: int = 0) -> PreTrainedModel:
    """The model in eval mode. Weights are drawn wider than an untrained model's, so that what one token sees of
    another, and what caps and scales do, shows in its log-probabilities."""
    settings = BASE | extra
    if classes == "Falcon":  # has no setting of that name
        del settings["head_dim"]
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(getattr(transformers, f"{classes}Config")(**settings))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() >= 2:
                value.copy_(torch.randn_like(value) * (0.3 if "embed" in name or "wte" in name else 0.15))
    return model.eval()
