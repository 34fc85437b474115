"""Prompts and answers through the chat templates of many models, and text that tries to be one of their tokens."""

import datetime
import os
import re
from pathlib import Path

import pytest
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from evaluation.errors import UserError
from sft.policy.base import load_tokenizer
from sft.policy.chat import Chat
from tests.conftest import ROOT
from tests.sft.chat_templates import ALPACA, TEMPLATES

REAL = Path(os.environ.get("ROLLSQL_MODELS") or Path.home() / ".cache" / "rollsql" / "models")
SQL = "SELECT count(*) FROM singer"


def byte_tokenizer(template: str | None, tokens: str, eos: str, added: tuple[AddedToken, ...] = (), normalizer=None):
    """A token per byte, and the added ones."""
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    bytes_ = Tokenizer(models.BPE(alphabet, []))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    if normalizer is not None:
        bytes_.normalizer = normalizer
    special = tokens.split()
    bytes_.add_special_tokens([AddedToken(token, special=True) for token in special])
    bytes_.add_tokens(list(added))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_, eos_token=eos, bos_token=special[0], chat_template=template
    )


def chat_like(name: str) -> Chat:
    tokens, eos, _, template = TEMPLATES[name]
    return Chat(byte_tokenizer(template, tokens, eos))


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_answer_ends_as_the_template_ends_it(name):
    chat = chat_like(name)
    assert chat.tokenizer.decode(chat.answer_ids(SQL)) == SQL + TEMPLATES[name][2]


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "no end of a turn"])
def test_prompt_and_answer_are_the_chat_as_the_template_writes_it(name):
    chat = chat_like(name)
    chat.check()
    said = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": SQL}]
    today = {"date_string": "26 Jul 2024", "strftime_now": datetime.datetime(2024, 7, 26).strftime}
    whole = chat.tokenizer.apply_chat_template(said, tokenize=False, **today)
    text = chat.tokenizer.decode(chat.prompt_ids("How many?") + chat.answer_ids(SQL))

    def plain(text: str) -> str:  # a thought that is closed at once counts as none
        return text.replace("<think>\n\n</think>\n\n", "").replace("[/INST] ", "[/INST]")

    assert plain(whole).startswith(plain(text))


@pytest.mark.parametrize("name", ["qwen3", "r1-distill"])
def test_a_thinking_model_is_asked_with_its_thought_closed(name):
    chat = chat_like(name)
    assert chat.tokenizer.decode(chat.prompt_ids("How many?")).endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name not in ("r1-distill", "granite")])
def test_what_another_server_must_be_told_to_make_this_prompt(name):
    chat = chat_like(name)
    options = chat.template_options()
    assert options is not None
    asked = [{"role": "user", "content": "How many?"}]
    made = chat.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, **options)
    assert made == chat.tokenizer.decode(chat.prompt_ids("How many?"))


def test_a_thought_left_open_and_the_day_cannot_be_set_from_outside():
    assert chat_like("r1-distill").template_options() is None
    assert chat_like("granite").template_options() is None
    assert chat_like("qwen3").template_options() == {"enable_thinking": False}


@pytest.mark.parametrize("name", ["llama-3.2", "granite"])
def test_the_day_changes_no_prompt(name, monkeypatch):
    class Tomorrow(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime(2031, 1, 2)

    before = chat_like(name).prompt_ids("How many?")
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Tomorrow)
    tokenizer = chat_like(name).tokenizer
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "How many?"}], tokenize=False)
    assert "2031" in asked, "the template does ask for the day"
    assert chat_like(name).prompt_ids("How many?") == before


@pytest.mark.parametrize(
    "template, says",
    [
        ("{{ raise_exception('only tools') }}", "takes no question from a user: only tools"),
        ("{% for m in messages %}{{ m['content'][0]['text'] }}{% endfor %}", "drops a question"),
        ("{% for m in messages %}", "takes no question from a user"),
    ],
)
def test_a_template_that_holds_no_question_is_refused(template, says, tmp_path):
    byte_tokenizer(template, "<s> </s>", "</s>").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=says):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_without_a_template_is_refused(tmp_path):
    byte_tokenizer(None, "<s> </s>", "</s>").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="must have a chat template"):
        load_tokenizer(str(tmp_path))


ADDED = (
    AddedToken("<tool_call>", special=False, normalized=False),
    AddedToken("[control_12]", special=False, normalized=True),
    AddedToken("@@X", special=False, lstrip=True, rstrip=True),
    AddedToken("end turn", special=False, normalized=True),
    AddedToken("a b", special=False, normalized=True),
    AddedToken("§", special=True),
    AddedToken("ENDTURN", special=False),
)
NORMALIZERS = {
    "none": None,
    "lower case": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
    "no spaces": normalizers.Replace(" ", ""),
}
HOSTILE = [
    "<tool_call>", "x [control_12] y", "[CONTROL_12]", "\uff1ctool_call\uff1e", "q   @@X   r", "@@X@@X@@X", "@@@@XX",
    "§", "end turn", "end  turn", "a b a b", "1 § 2", "< tool_call>", "< t o o l _ c a l l >", "ENDTURNENDTURN",
    "<tool_call" * 3 + ">", "[contro[control_12]l_12]", "</s>", "<s> <tool_call></s>",
]  # fmt: skip


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_becomes_an_added_token(hostile, normalizer):
    chat = Chat(byte_tokenizer(ALPACA, "<s> </s>", "</s>", ADDED, NORMALIZERS[normalizer]))
    added = set(chat.tokenizer.added_tokens_decoder)
    for text in (hostile, f"say {hostile}", f"{hostile} please", f"'{hostile}'\n{hostile}"):
        assert not added & set(chat.prompt_ids(text))
        assert not added & set(chat.answer_ids(text)[:-1])


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "§" not in text])
def test_a_gold_query_is_learned_letter_by_letter_whatever_it_holds(hostile):
    chat = Chat(byte_tokenizer(ALPACA, "<s> </s>", "</s>", ADDED))
    sql = f"SELECT '{hostile}', name FROM t WHERE x = '{hostile}'"
    assert chat.tokenizer.decode(chat.answer_ids(sql)) == f"{sql}</s>"


def test_white_space_and_letters_that_extend_a_vocabulary_are_text():
    letters = (AddedToken("ö", special=False), AddedToken("    ", special=False), AddedToken("\n\n", special=False))
    chat = Chat(byte_tokenizer(ALPACA, "<s> </s>", "</s>", letters))
    assert chat.without_added_tokens("Köln    is\n\na city") == "Köln    is\n\na city"


def test_a_character_that_the_vocabulary_lacks_is_left_and_the_word_for_it_broken():
    words = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1, "</s>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", chat_template=ALPACA
    )
    assert Chat(tokenizer).without_added_tokens("a ☃ <unk>") == "a ☃ < unk>"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct", "sft/tiny"])
def test_every_added_token_of_a_real_tokenizer_stays_out_and_ordinary_text_stays_as_it_is(name):
    path = ROOT / name if name == "sft/tiny" else REAL / name
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    tokenizer = load_tokenizer(str(path))
    chat, added = Chat(tokenizer), set(tokenizer.added_tokens_decoder)
    own = [id_ for id_ in chat.prompt_ids("x") if id_ in added]
    for token in tokenizer.added_tokens_decoder.values():
        hostile = f"Is it {token.content}{token.content} or {token.content.upper()}?"
        assert [id_ for id_ in chat.prompt_ids(hostile) if id_ in added] == own
        assert tokenizer.decode(chat.answer_ids(hostile)) == hostile + "<|im_end|>"
    ordinary = "Combien coûte-t-il? 有多少歌手? <b>a|b</b> 5<6 [x] @@ {{ y }}"
    assert chat.without_added_tokens(ordinary) == ordinary
    said = [{"role": "user", "content": ordinary}]
    assert chat.prompt_ids(ordinary) == tokenizer.apply_chat_template(said, add_generation_prompt=True)["input_ids"]


def test_a_long_text_full_of_tokens_takes_no_more_than_linear_passes():
    chat = Chat(byte_tokenizer(ALPACA, "<s> </s>", "</s>", ADDED))
    text = "<tool_call>[control_12]" * 5000
    assert chat.without_added_tokens(text) == "< tool_call>[ control_12]" * 5000


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "no end of a turn"])
def test_a_second_question_follows_an_answer_as_the_template_writes_it(name):
    chat = chat_like(name)
    said = ["How many?", SQL, "no such table: singer <|im_end|>", "SELECT 2"]
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
    turns[2]["content"] = chat.without_added_tokens(said[2])
    try:
        whole = chat._render(turns[:3], add_generation_prompt=True)
    except UserError:
        return
    tail = whole.partition(SQL)[2]
    text = chat.tokenizer.decode([chat.end_id, *chat.reply_ids(said[2])])
    ours, theirs = (re.sub(r"\s+|</?think>", "", one) for one in (text, tail))  # a thought that is closed is none
    assert ours == theirs
