"""The bundled model's tokenizer: a byte-level BPE that keeps names whole and copies them token by token.

Words are split so that a name is the same tokens in a schema, a question and a query: the space before a capitalised
word is a token of its own, an underscore stays with the word after it, camelCase is cut at its humps, digits stand
alone. Any text round-trips, since bytes are the alphabet.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_PIECES = (
    r"\p{N}",  # one digit
    r" ?_?\p{Lu}{2,}(?!\p{Ll})",  # SELECT, _ID
    r" (?=\p{Lu})",  # the space of a capitalised word
    r"_?\p{Lu}?\p{Ll}+| \p{Ll}+",  # Name, name, _name
    r"_?\p{Lu}(?!\p{Ll})|\p{L}+",
    r" ?[^\s\p{L}\p{N}]+(?<!_)|_",  # signs, but for an underscore before a word
    r"\s+",
)


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """BPE over the texts, with the ChatML tokens and template; `vocab_size` counts all of them."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("|".join(_PIECES)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START, END],
        chat_template=CHATML,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
