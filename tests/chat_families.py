"""Tokenizers trained on a few sentences, and chat templates in the published forms of LLM families."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "Is there a dog in the picture? No. Yes, there is a dog on the left.",
    "What is this? A red bus. Which one is redder, or are they the same? You are a helpful assistant.",
    "图里有熊猫吗？没有。图里有什么？一只猫，没有狗。",
    "system user assistant model USER: ASSISTANT: User: Assistant: [INST] [/INST] <<SYS>>\n<</SYS>>\n\n",
    "<|system|>\n<|user|>\nIs it?</s>\n<|assistant|>\nNo.</s>\n",
] * 4
# How the GPT-4 family and Qwen cut a text into words.
WORDS = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def sentencepiece_bpe(scheme: str) -> Tokenizer:
    """LLaMA's: pairs with bytes for what is unknown. `scheme`: "legacy" (a word mark before every piece of text between
    control tokens), or where Metaspace puts one: "always", "first", "never".
    """
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        show_progress=False,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.train_from_iterator([line for text in TEXTS for line in text.split("\n")], trainer)
    # Trained with words apart, used without: as SentencePiece's files come out of the converter.
    if scheme == "legacy":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = None
    else:
        tokenizer.normalizer = None
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _without_bytes_as_control(tokenizer)


def _without_bytes_as_control(tokenizer: Tokenizer) -> Tokenizer:
    """The trainer makes control tokens of the bytes, which they are not."""
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(data))


def sentencepiece_unigram(scheme: str = "first") -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=260, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>"
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def byte_level(trim_offsets: bool = False, *, gpt2: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if gpt2:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(WORDS, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, show_progress=False, initial_alphabet=alphabet, special_tokens=["<unk>", "<s>", "</s>"]
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


TOKENIZERS = {
    "llama legacy": lambda: sentencepiece_bpe("legacy"),
    "llama": lambda: sentencepiece_bpe("first"),
    "metaspace always": lambda: sentencepiece_bpe("always"),
    "metaspace never": lambda: sentencepiece_bpe("never"),
    "unigram": sentencepiece_unigram,
    "unigram always": lambda: sentencepiece_unigram("always"),
    "bytes": byte_level,
    "bytes trimmed": lambda: byte_level(True),
    "gpt2": lambda: byte_level(True, gpt2=True),
}


@lru_cache
def trained(name: str) -> str:
    return TOKENIZERS[name]().to_str()


def turns(
    user: str,
    assistant: str,
    ask: str = "",
    *,
    system: str | None = None,
    trim: str = "",
    begin: str = "",
    end: str = "",
) -> str:
    """A template that prints turn after turn; `{}` is what was said. `system` None: such turns are refused."""
    said = "{{ message['content'] " + (f"| {trim} " if trim else "") + "}}"
    shown = {
        "system": "{{ raise_exception('System role not supported') }}"
        if system is None
        else system.replace("{}", said),
        "user": user.replace("{}", said),
        "assistant": assistant.replace("{}", said),
    }
    cases = "".join(
        f"{{% {'if' if role == 'system' else 'elif'} message['role'] == '{role}' %}}{text}"
        for role, text in shown.items()
    )
    asked = f"{{% if add_generation_prompt %}}{ask}{{% else %}}{end}{{% endif %}}" if ask or end else ""
    return f"{begin}{{% for message in messages %}}{cases}{{% endif %}}{{% endfor %}}{asked}"


def framed(header: str, closing: str, names: str = "system user assistant", **options: str) -> str:
    """The same, where every turn is a header with the role's name, what was said and a closing mark."""
    system, user, assistant = (header.format(name) for name in names.split())
    said = [f"{one}{{}}{closing}" for one in (user, assistant)]
    return turns(*said, assistant, system=f"{system}{{}}{closing}", **options)


SYSTEM_APART = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set said = messages[1:] %}"
    "{% else %}{% set system = none %}{% set said = messages %}{% endif %}"
)


def chatml(begin: str = "", *, default: str = "", think: str = "") -> str:
    """`default`: the system turn where there is none. `think`: what asking and the last answer begin with."""
    first = f"{{% if messages[0]['role'] != 'system' %}}<|im_start|>system\n{default}<|im_end|>\n{{% endif %}}"
    return (
        begin + (first if default else "") + "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% if message['role'] == 'assistant' and loop.last %}"
        + think
        + "{% endif %}{{ message['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and enable_thinking is false %}" + think + "{% endif %}{% endif %}"
    )


NO_THOUGHT = "<think>\n\n</think>\n\n"
LLAMA_2 = (
    SYSTEM_APART + "{% for message in said %}{% if loop.index0 == 0 and system is not none %}"
    "{% set text = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set text = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}<s>[INST] {{ text.strip() }} [/INST]"
    "{% else %} {{ text.strip() }} </s>{% endif %}{% endfor %}"
)
MISTRAL_3 = (
    SYSTEM_APART + "<s>{% for message in said %}{% if message['role'] == 'user' %}[INST] "
    "{% if loop.last and system is not none %}{{ system }}\n\n{% endif %}{{ message['content'] }}[/INST]"
    "{% else %} {{ message['content'] | trim }}</s>{% endif %}{% endfor %}"
)
MISTRAL = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('Only user and assistant') }}"
)
GEMMA_3 = (
    SYSTEM_APART + "<bos>{% for message in said %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else 'user' }}\n"
    "{% if loop.first and system is not none %}{{ system }}\n\n{% endif %}{{ message['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
GLM_4_5 = (
    "[gMASK]<sop>{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>\n<think></think>\n"
    "{{ message['content'].strip() }}{% else %}<|{{ message['role'] }}|>\n{{ message['content'] }}"
    "{% if message['role'] == 'user' and enable_thinking is defined and not enable_thinking"
    " and not message['content'].endswith('/nothink') %}/nothink{% endif %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '\n' }}<think></think>{% endif %}{% endif %}"
)
HARMONY = (
    "<|start|>system<|message|>You are ChatGPT.\n\n# Valid channels: analysis, final.<|end|>"
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "<|start|>developer<|message|># Instructions\n\n{{ message['content'] }}<|end|>"
    "{% elif message['role'] == 'user' %}<|start|>user<|message|>{{ message['content'] }}<|end|>"
    "{% else %}<|start|>assistant<|channel|>final<|message|>{{ message['content'] }}"
    "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
R1 = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}<s>"
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}<｜User｜>{{ message['content'] }}"
    "{% else %}{% set text = message['content'] %}{% if '</think>' in text %}{% set text = text.split('</think>')[-1] %}"
    "{% endif %}<｜Assistant｜>{{ text }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
PHI_3 = framed("<|{}|>\n", "<|end|>\n", end="</s>")
OLMO_2 = (
    "<s>{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}"
    "{{ '</s>' if message['role'] == 'assistant' }}{{ '\n' if message['role'] != 'assistant' or not loop.last }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
COHERE = "<|START_OF_TURN_TOKEN|><|{}_TOKEN|>"
VICUNA = (
    SYSTEM_APART + "<s>{{ system if system is not none else 'A chat between a curious user and an assistant.' }} "
    "{% for message in said %}{% if message['role'] == 'user' %}USER: {{ message['content'] }} "
    "{% else %}ASSISTANT: {{ message['content'] }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A template with a tokenizer like the family's own. `control`: special tokens. `system`: whether there is such a role.

    `differs`: kinds of conversations whose training text is not the template's own, since what it prints of a whole
    conversation does not begin with what it prints for asking. `no_mark`: it prints nothing after the last answer.
    """

    tokenizer: str
    template: str
    control: tuple[str, ...] = ()
    system: bool = True
    eos: str = "</s>"
    differs: tuple[str, ...] = ()
    no_mark: bool = False
    takes_blanks: bool = False  # its control tokens take the white space behind them

    def make(self) -> transformers.PreTrainedTokenizerFast:
        tokenizer = Tokenizer.from_str(trained(self.tokenizer))
        tokenizer.add_special_tokens(
            [AddedToken(text, special=True, rstrip=self.takes_blanks) for text in self.control]
        )
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token=self.eos, unk_token="<unk>"
        )
        fast.add_tokens([AddedToken(text, special=False) for text in ("<think>", "</think>")])
        fast.chat_template = self.template
        return fast


IM = ("<|im_start|>", "<|im_end|>")
GLM = ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>")
MISTRAL_TURNS = "{% elif message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]{% else %}"
MISTRAL_END = "{% endif %}{% endfor %}"
FAMILIES = {
    "LLaMA-2": Family("llama legacy", LLAMA_2),
    "Vicuna": Family("llama legacy", VICUNA),
    "Mistral 0.1": Family(
        "llama legacy", f"<s>{MISTRAL}{MISTRAL_TURNS}{{{{ message['content'] }}}}</s> {MISTRAL_END}", system=False
    ),
    "Mistral 0.2": Family(
        "llama", f"<s>{MISTRAL}{MISTRAL_TURNS} {{{{ message['content'] }}}}</s>{MISTRAL_END}", system=False
    ),
    "Mistral 0.3": Family("metaspace always", MISTRAL_3, ("[INST]", "[/INST]"), differs=("system",)),
    "Mixtral": Family(
        "metaspace always", f"<s>{MISTRAL}{MISTRAL_TURNS} {{{{ message['content'] }}}}</s>{MISTRAL_END}", system=False
    ),
    "Zephyr": Family(
        "llama legacy",
        framed("<|{}|>\n", "</s>\n"),
    ),
    "InternLM 2": Family("llama legacy", chatml("<s>"), IM, eos="<|im_end|>"),
    "InternLM 3": Family("llama", chatml("<s>"), IM, eos="<|im_end|>"),
    "MiniCPM": Family("llama legacy", turns("<用户>{}<AI>", "{}", system="<用户>{}<AI>", trim="trim"), no_mark=True),
    "OLMo-2": Family("gpt2", OLMO_2),
    "Baichuan-2": Family(
        "metaspace never",
        turns("<reserved_106>{}", "<reserved_107>{}", "<reserved_107>", system="{}"),
        ("<reserved_106>", "<reserved_107>"),
        no_mark=True,
    ),
    "Yi-1.5": Family("llama", chatml(), IM),
    "DeepSeek": Family(
        "bytes",
        turns("User: {}\n\n", "Assistant: {}</s>", "Assistant:", system="{}\n\n", begin="<s>"),
    ),
    "DeepSeek-R1": Family(
        "bytes", R1, ("<｜User｜>", "<｜Assistant｜>"), differs=("en", "zh", "several", "system", "blanks")
    ),
    "ChatGLM-3": Family(
        "unigram",
        turns("<|user|>\n {}", "<|assistant|>\n {}", "<|assistant|>", system="<|system|>\n {}", begin="[gMASK]<sop>"),
        GLM,
        no_mark=True,
    ),
    "GLM-4": Family(
        "bytes",
        turns("<|user|>\n{}", "<|assistant|>\n{}", "<|assistant|>", system="<|system|>\n{}", begin="[gMASK]<sop>"),
        GLM,
        no_mark=True,
    ),
    "GLM-4.5": Family("bytes", GLM_4_5, GLM, no_mark=True),
    "gpt-oss": Family(
        "bytes", HARMONY, ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>"), eos="<|return|>"
    ),
    "Qwen2.5": Family("bytes", chatml(default="You are Qwen."), IM, eos="</s>"),
    "Qwen3": Family("bytes", chatml(think=NO_THOUGHT), IM, eos="<|im_end|>", differs=("several",)),
    "Llama-3": Family(
        "bytes trimmed",
        framed("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>", trim="trim", begin="<s>"),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "Gemma 2": Family(
        "metaspace never",
        turns(
            "<start_of_turn>user\n{}<end_of_turn>\n",
            "<start_of_turn>model\n{}<end_of_turn>\n",
            "<start_of_turn>model\n",
            trim="trim",
            begin="<bos>",
        ),
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        system=False,
    ),
    "Gemma 3": Family("metaspace never", GEMMA_3, ("<bos>", "<start_of_turn>", "<end_of_turn>")),
    "Phi-3": Family(
        "llama", PHI_3, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"), takes_blanks=True, eos="</s>"
    ),
    "Phi-4": Family(
        "bytes",
        framed("<|im_start|>{}<|im_sep|>", "<|im_end|>"),
        (*IM, "<|im_sep|>"),
    ),
    "Command-R": Family(
        "bytes",
        framed(COHERE, "<|END_OF_TURN_TOKEN|>", "SYSTEM USER CHATBOT", trim="trim", begin="<s>"),
        ("<|START_OF_TURN_TOKEN|>", *(f"<|{role}_TOKEN|>" for role in ("USER", "CHATBOT", "SYSTEM", "END_OF_TURN"))),
    ),
    "Granite": Family(
        "gpt2",
        framed("<|start_of_role|>{}<|end_of_role|>", "</s>\n"),
        ("<|start_of_role|>", "<|end_of_role|>"),
    ),
    "SmolLM2": Family("gpt2", chatml(default="You are a helpful AI assistant."), IM, eos="<|im_end|>"),
}
