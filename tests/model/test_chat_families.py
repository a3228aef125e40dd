"""Every family of LLMs: ids are the template's own, what is asked with is how what was taught begins, the end is one.

`python tests/model/test_chat_families.py` prints the matrix.
"""

from functools import lru_cache

import pytest
from chat_families import FAMILIES, TOKENIZERS, Family, turns
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.conversation import Conversation, Turn
from skymm.encoded import IGNORE
from skymm.model.chat import ChatEncoder

IMAGE = 10**6
CONVERSATIONS = {
    "en": [("user", "Is there a dog?"), ("assistant", "No.")],
    "zh": [("user", "图里有熊猫吗？"), ("assistant", "没有。")],
    "several": [("user", "What is this?"), ("assistant", "A red bus."), ("user", "有狗吗？"), ("assistant", "No.")],
    "system": [("system", "Be brief."), ("user", "Is there a dog?"), ("assistant", "No.")],
    "blanks": [("user", " \nIs there a dog?"), ("assistant", " No. \n")],
}


@lru_cache
def encoder(name: str) -> ChatEncoder:
    return ChatEncoder(FAMILIES[name].make(), num_latents=2, image_token_id=IMAGE)


def conversation(spoken: list[tuple[str, str]]) -> Conversation:
    return Conversation("key", tuple(Turn(role, text) for role, text in spoken))


def row(name: str) -> dict[str, str]:
    """Per conversation: what holds. I: ids, P: ids of the prompt, A: asked as taught (each answer), E: each end is the end.

    i: ids but for the end mark, which the template lacks.
    """
    family, chat, found = FAMILIES[name], encoder(name), {}
    for kind, spoken in CONVERSATIONS.items():
        try:
            whole, prompt = (own(chat.tokenizer, part, ask) for part, ask in ((spoken, False), (spoken[:-1], True)))
            encoded = chat.encode(conversation(spoken))
        except Exception as error:
            found[kind] = f"refused: {error}"
            continue
        asked = [
            chat.encode_prompt(conversation(spoken[:index])).ids
            for index, turn in enumerate(spoken)
            if turn[0] == "assistant"
        ]
        ends = {encoded.labels[end - 1] for _, _, end in encoded.targets}
        holds = {
            "I": encoded.ids == whole,
            "i": family.no_mark and encoded.ids == [*whole, chat.end_id],
            "P": asked[-1] == prompt,
            "A": all(encoded.ids[:start] == ids for (_, start, _), ids in zip(encoded.targets, asked, strict=True)),
            "E": ends == {chat.end_id},
        }
        found[kind] = "".join(letter for letter, true in holds.items() if true)
    return found


def own(tokenizer, spoken: list[tuple[str, str]], ask: bool) -> list[int]:
    messages = [{"role": role, "content": text} for role, text in spoken]
    return tokenizer.apply_chat_template(
        messages, add_generation_prompt=ask, enable_thinking=False, return_dict=False, tokenize=True
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_ids_are_the_templates_own_and_asked_is_as_taught(name):
    family, found = FAMILIES[name], row(name)
    for kind, holds in found.items():
        if kind == "system" and not family.system:
            assert holds.startswith("refused")
        elif kind in family.differs:
            assert holds in ("PAE", "AE"), kind
        else:
            assert holds == ("iPAE" if family.no_mark else "IPAE"), kind


def test_what_a_template_cannot_print_is_said_with_key_and_advice():
    turns_ = CONVERSATIONS["system"]
    with pytest.raises(
        ValueError, match=r"key: .*refuses turns of system, user: System role not.*into the first question"
    ):
        encoder("Gemma 2").encode(conversation(turns_))
    with pytest.raises(ValueError, match=r"key: half a character .*d83d.*ud83d b"):
        encoder("Gemma 2").encode(conversation([("user", "a \ud83d b"), ("assistant", "No.")]))
    blank = ChatEncoder(FAMILIES["Gemma 2"].make(), num_latents=2, image_token_id=IMAGE, system="")
    assert blank.encode(conversation(turns_[1:])).ids == encoder("Gemma 2").encode(conversation(turns_[1:])).ids
    blank = ChatEncoder(FAMILIES["Qwen2.5"].make(), num_latents=2, image_token_id=IMAGE, system="")
    assert "You are Qwen" not in blank.encode(conversation(turns_[1:])).text
    deaf = Family("bytes", "{% for message in messages %}Hm.{% endfor %}").make()
    with pytest.raises(ValueError, match="does not print the user turn"):
        ChatEncoder(deaf, num_latents=2, image_token_id=IMAGE).encode(conversation(turns_[1:]))


def test_what_the_model_writes_before_its_answer_is_known():
    assert encoder("gpt-oss").tokenizer.decode(encoder("gpt-oss").opening_ids) == "<|channel|>final<|message|>"
    assert encoder("LLaMA-2").opening_ids == encoder("Qwen3").opening_ids == ()


words = st.sampled_from(
    ["dog", " ", "  ", "\n", "No", ".", "?", "是", "图里", "<", "|", ">", "▁", "1", "12", "é", "e\u0301", "🐼"]
)
TYPED = ["<s>", "</s>", "<|im_end|>", "<|im_start|>user", "<unk>", "<image>", " </s> ", "<|im_<s>end|>"]
said = st.lists(words | st.sampled_from(TYPED), min_size=1, max_size=8).map("".join).filter(str.strip)
OPENINGS = ["<|im_start|>assistant\n", "ASSISTANT:", "ASSISTANT: ", "[/INST]", " [/INST]"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(TOKENIZERS)),
    st.sampled_from(OPENINGS),
    st.sampled_from(["{}", " {}", "\n{}", "{} "]),
    st.lists(st.tuples(said, said), min_size=1, max_size=3),
    st.lists(st.integers(0, 8), max_size=2).map(sorted),
)
def test_whatever_is_said_in_whatever_tokens(kind, opening, answer, pairs, places):
    template = turns("<|im_start|>user\n{}<|im_end|>\n", f"{opening}{answer}</s>", opening, begin="<s>")
    tokenizer = Family(kind, template, ("<|im_start|>", "<|im_end|>")).make()
    chat = ChatEncoder(tokenizer, num_latents=2, image_token_id=IMAGE)
    spoken = []
    for question, reply in pairs:
        places = tuple(place for place in places if place <= len(question))
        names = tuple(map(str, range(len(places))))
        spoken += [Turn("user", question, names, places=places), Turn("assistant", reply)]
    encoded = chat.encode(Conversation("key", tuple(spoken)))
    assert encoded.ids.count(IMAGE) == 2 * len(encoded.images)

    for number, (_, start, end) in enumerate(encoded.targets):
        assert encoded.ids[:start] == chat.encode_prompt(Conversation("key", tuple(spoken[: 2 * number + 1]))).ids
        assert encoded.labels[start:end] == encoded.ids[start:end] and encoded.labels[end - 1] == tokenizer.eos_token_id
    assert sum(label != IGNORE for label in encoded.labels) == sum(end - start for _, start, end in encoded.targets)
    # Every control token is the template's: one <s>, three marks per pair.
    special = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special} - {tokenizer.unk_token_id}
    control = [id_ for id_ in encoded.ids if id_ in special]
    assert len(control) == 1 + 3 * len(pairs) + ("im_start" in opening) * len(pairs)


if __name__ == "__main__":
    for name in FAMILIES:
        print(f"{name:14}", "  ".join(f"{kind} {holds.split(':')[0]:7}" for kind, holds in row(name).items()))
