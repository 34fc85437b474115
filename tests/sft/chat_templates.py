"""Chat templates after those of published models, shortened: name -> (tokens, end of text, end of a turn, template)."""

_LOOP = "{% for m in messages %}"
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}" + _LOOP + "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    _LOOP + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
LLAMA32 = (
    "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n<|eot_id|>' }}"
    + _LOOP
    + "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}" + _LOOP + "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
QWEN3 = (
    _LOOP + "{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)
R1_DISTILL = (
    "{{ bos_token }}" + _LOOP + "{% if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{% else %}"
    "{{ '<｜Assistant｜>' + m['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
GRANITE = (
    "{{ '<|start_of_role|>system<|end_of_role|>Today: ' + strftime_now('%B %d, %Y') + '.<|end_of_text|>\n' }}"
    + _LOOP
    + "{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + '<|end_of_text|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
)
COMMAND_R = (
    "{{ bos_token }}" + _LOOP + "{% set who = 'CHATBOT' if m['role'] == 'assistant' else 'USER' %}"
    "{{ '<|START_OF_TURN_TOKEN|><|' + who + '_TOKEN|>' + m['content'] | trim + '<|END_OF_TURN_TOKEN|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"
)
ALPACA = (
    _LOOP + "{% if m['role'] == 'user' %}{{ '### Instruction:\n' + m['content'] + '\n' }}"
    "{% else %}{{ '### Response:\n' + m['content'] + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}"
)
TEMPLATES = {
    "gemma": ("<bos> <eos> <start_of_turn> <end_of_turn>", "<eos>", "<end_of_turn>", GEMMA),
    "phi-3": ("<s> <|endoftext|> <|user|> <|assistant|> <|end|>", "<|endoftext|>", "<|end|>", PHI3),
    "llama-3.2": (
        "<|begin_of_text|> <|end_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>",
        "<|end_of_text|>",
        "<|eot_id|>",
        LLAMA32,
    ),
    "mistral": ("<s> </s> [INST] [/INST]", "</s>", "</s>", MISTRAL),
    "qwen3": ("<|endoftext|> <|im_start|> <|im_end|> <think> </think>", "<|im_end|>", "<|im_end|>", QWEN3),
    "r1-distill": (
        "<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜> <think> </think>",
        "<｜end▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        R1_DISTILL,
    ),
    "granite": ("<|end_of_text|> <|start_of_role|> <|end_of_role|>", "<|end_of_text|>", "<|end_of_text|>", GRANITE),
    "command-r": (
        "<BOS_TOKEN> <EOS_TOKEN> <|START_OF_TURN_TOKEN|> <|END_OF_TURN_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|>",
        "<EOS_TOKEN>",
        "<|END_OF_TURN_TOKEN|>",
        COMMAND_R,
    ),
    "no end of a turn": ("<s> </s>", "</s>", "</s>", ALPACA),
}
