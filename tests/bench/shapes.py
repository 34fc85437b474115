"""Models of a given size with random weights, in Hugging Face layout: enough to measure speed and memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from sft.policy.base import tokenizer_files
from tests.toy_model import make_toy_model

NARROW: dict[str, Any] = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
"""What the models of this file share."""


def make_16m_model(directory: Path, dtype: torch.dtype = torch.float32) -> Path:
    """15.7 M parameters: 8 layers of width 384, 6 heads of 64 over 2 key heads, 8,192 words, head tied to embedding."""
    make_toy_model(directory)  # for its tokenizer; ids above its 512 words are drawn at random
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=8192, num_hidden_layers=8, **NARROW)
    Qwen2ForCausalLM(config).to(dtype).save_pretrained(directory)
    return directory


def make_16m_sql_model(directory: Path, dtype: torch.dtype = torch.bfloat16) -> Path:
    """16.5 M parameters with the tokenizer of the bundled model, which writes Spider's prompts in a few hundred tokens.

    10 layers of width 384, 6 heads of 64 over 2 key heads, 2,048 words, head tied to embedding.
    """
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=2048, num_hidden_layers=10, **NARROW)
    LlamaForCausalLM(config).to(dtype).save_pretrained(directory)
    for file in tokenizer_files(Path("sft/tiny")):
        shutil.copyfile(file, directory / file.name)
    return directory
