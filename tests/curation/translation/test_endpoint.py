"""Chat models on this machine and behind an endpoint, with everything that goes wrong there."""

import re

import pytest
from endpoint import Endpoint, completion, prompt_of
from tiny_parts import save_tiny_llm

from skymm.curation.record import Caption, Record
from skymm.curation.translation import translate_records
from skymm.curation.translation.cache import TranslationCache
from skymm.curation.translation.protect import BRACKETS
from skymm.curation.translation.translators import TranslationStopped, messages_for, open_translators, read_answer
from skymm.recipe.data import TranslationRecipe

WORDS = {
    "A dog runs on the grass.": "一只狗在草地上跑。",
    "There are ⟦1⟧ cats on the sofa.": "沙发上有⟦1⟧只猫。",
    "Is there a bird?": "有鸟吗？",
    "No": "没有",
}
WORDS |= {chinese: english for english, chinese in WORDS.items()}
RECORDS = [
    Record("a", captions=(Caption("A dog runs on the grass.", "en"), Caption("There are 3 cats on the sofa.", "en"))),
    Record("b", captions=(Caption("There are 25 cats on the sofa.", "en"), Caption("No", "en"))),
]
TRANSLATED = ["一只狗在草地上跑。", "沙发上有3只猫。", "沙发上有25只猫。", "没有"]


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("skymm.endpoint.PAUSE", 0.0)


def asked(request_or_prompt):
    prompt = request_or_prompt if isinstance(request_or_prompt, str) else prompt_of(request_or_prompt)
    return re.search(r"<text>\n(.*)\n</text>", prompt, re.S)[1]


def recipe_of(url, tmp_path, **more):
    known = {"model": f"openai:{url}#m", "to": "zh", "cache": str(tmp_path / "cache.sqlite"), "batch_size": 2}
    return TranslationRecipe(**known | more)


def run(server, tmp_path, records=RECORDS, **more):
    recipe = recipe_of(server.url, tmp_path, **more)
    made, reasons = translate_records(records, recipe, open_translators(recipe), TranslationCache(recipe.cache))
    return [caption.text for record in made for caption in record.captions if caption.language == "zh"], reasons


def test_an_endpoint_translates_and_is_asked_once(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with Endpoint(lambda request: WORDS[asked(request)]) as server:
        assert run(server, tmp_path) == (TRANSLATED, {})
        assert len(server.requests) == 5, (
            "3 and 25 cats are one question; two of three are long enough for a round trip"
        )
        assert run(server, tmp_path) == (TRANSLATED, {}) and len(server.requests) == 5
    assert set(server.keys) == {"Bearer sk-secret"}
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("m", 0, 512)
    assert b"sk-secret" not in (tmp_path / "cache.sqlite").read_bytes()


def test_an_answer_that_was_cut_off_is_none(tmp_path):
    cut = completion("一只狗在草地上跑")
    cut["choices"][0]["finish_reason"] = "length"
    with Endpoint(lambda request: (200, cut)) as server:
        assert run(server, tmp_path, RECORDS[:1])[1] == {"the model gave no translation": 2}


def test_what_is_refused_is_asked_again_next_time(tmp_path):
    refuses = [True]

    def rule(request):
        return (
            (400, {"error": {"message": "filter"}}) if "dog" in asked(request) and refuses[0] else WORDS[asked(request)]
        )

    with Endpoint(rule) as server:
        assert run(server, tmp_path) == (TRANSLATED[1:], {"no translation came": 1})
        refuses[0] = False
        assert run(server, tmp_path) == (TRANSLATED, {})


def test_an_endpoint_that_is_gone_stops_the_step_and_what_it_said_is_kept(tmp_path):
    lives = [3]

    def rule(request):
        lives[0] -= 1
        return WORDS["A dog runs on the grass."] if lives[0] >= 0 else (401, {"error": {"message": "expired"}})

    records = [Record(str(n), captions=(Caption(f"A dog runs on the grass {chr(97 + n)}.", "en"),)) for n in range(12)]
    with Endpoint(rule) as server:
        with pytest.raises(TranslationStopped, match="refuses the key in OPENAI_API_KEY"):
            run(server, tmp_path, records, min_round_trip=0, batch_size=1)
        before = {asked(request) for request in server.requests[:3]}
        lives[0] = 99
        assert len(run(server, tmp_path, records, min_round_trip=0)[0]) == 12
        assert before.isdisjoint({asked(request) for request in server.requests[4:]}) and len(before) == 3


@pytest.mark.parametrize(
    "model", ["openai:http://h/v1", "openai:#m", "openai:ftp://h/v1#m", "openai:http://me:pw@h/v1#m"]
)
def test_bad_addresses(model, tmp_path):
    with pytest.raises(ValueError, match=r"endpoint") as caught:
        open_translators(TranslationRecipe(model=model, to="zh"))
    assert "pw" not in str(caught.value)


# --- how they are asked, and what they say around a translation ---

AROUND = [
    *("一只狗。", "  一只狗。\n", "“一只狗。”", '"一只狗。"', "译文：一只狗。", "中文: 一只狗。", "好的：\n一只狗。"),
    "Here is the translation:\n\n一只狗。",
    "Sure! Here's the translation into Simplified Chinese: 一只狗。",
    "Sure, here you go:\n一只狗。",
    "<text>\n一只狗。\n</text>",
    "```\n一只狗。\n```",
    "<think>A dog is 狗.\n\nSo...</think>\n一只狗。",
    "一只狗。\n\n(Note: “只” is the measure word.)",
    "一只狗。\n**注**：“只”是量词。",
    "Translation:\n```text\n“一只狗。”\n```",
]
NONE = [
    *("", "<think>A dog is", "I'm sorry, but I can't see the picture.", "抱歉，我无法看到图片。", "一只狗。\n一条狗。"),
    "As an AI language model, I cannot translate this.",
]
ITS_OWN = {
    "I'm sorry, but I can't see it.": "抱歉，我看不到。",
    "Translate this: dog": "翻译这个：狗",
    "Answer: a dog": "答案：一只狗",
    "Note: it is a dog.": "注：这是一只狗。",
    '"A dog."': "“一只狗。”",
    "Two lines:\na dog": "两行：\n一只狗",
    "He said “⟦1⟧” and “⟦2⟧”": "“⟦1⟧”和“⟦2⟧”",
}


def test_the_question_names_both_languages_and_the_marks():
    [message] = messages_for("⟦1⟧ dogs", "en", "zh", BRACKETS)
    asked = message["content"]
    assert message["role"] == "user" and "English text" in asked and "into Simplified Chinese" in asked
    assert "such as ⟦1⟧" in asked and asked.endswith("<text>\n⟦1⟧ dogs\n</text>")
    asked = messages_for("狗", "zh", "en", BRACKETS)[0]["content"]
    assert "Chinese text" in asked and "into English" in asked and "⟦" not in asked


def test_what_stands_around_a_translation_goes_and_what_belongs_to_the_text_stays():
    assert {answer: read_answer(answer, "A dog.") for answer in AROUND} == dict.fromkeys(AROUND, "一只狗。")
    assert {answer: read_answer(answer, "A dog.") for answer in NONE} == dict.fromkeys(NONE, "")
    assert {text: read_answer(answer, text) for text, answer in ITS_OWN.items()} == ITS_OWN


# --- on this machine -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return str(save_tiny_llm(tmp_path_factory.mktemp("llama")))


def local(llama, tmp_path, **more):
    return open_translators(recipe_of("", tmp_path, **{"model": llama, "max_new_tokens": 8} | more))[0]


def test_a_chat_model_answers_the_same_together_and_alone(llama, tmp_path, monkeypatch):
    translator = local(llama, tmp_path)
    monkeypatch.setattr("skymm.curation.translation.translators.read_answer", lambda answer, text: answer)
    translator.model.generation_config.eos_token_id = list(range(0, 264, 3))  # random weights find an end then
    texts = [*WORDS, *WORDS, "dog " * 60]
    together = translator.translate(texts, "en", "zh")
    assert together == [translator.translate([text], "en", "zh")[0] for text in texts]
    assert len(set(together)) > 1


def test_a_chat_model_is_asked_in_its_own_form_and_read(llama, tmp_path, monkeypatch):
    """With words put into its mouth."""
    import torch

    translator = local(llama, tmp_path, max_new_tokens=300)
    tokenizer, end = translator.tokenizer, translator.tokenizer.eos_token_id

    def generate(input_ids, attention_mask, max_new_tokens):
        prompts = [tokenizer.decode(row[seen.bool()]) for row, seen in zip(input_ids, attention_mask)]
        assert all(prompt.startswith("<|start|>user\nTranslate the") for prompt in prompts)
        assert all(prompt.endswith("</text><|end|>\n<|start|>assistant\n") for prompt in prompts)
        assert max_new_tokens == 300 and bool(attention_mask[:, -1].all())
        said = [
            [*tokenizer.encode(f"Translation: {WORDS[asked(prompt)]}", add_special_tokens=False), end]
            for prompt in prompts
        ]
        width = max(map(len, said))
        return torch.cat([input_ids, torch.tensor([row + [end] * (width - len(row)) for row in said])], dim=1)

    monkeypatch.setattr(translator.model, "generate", generate)
    recipe = recipe_of("", tmp_path, model=llama)
    made, reasons = translate_records(RECORDS, recipe, (translator, translator), TranslationCache(recipe.cache))
    assert reasons == {}
    assert [one.text for record in made for one in record.captions if one.language == "zh"] == TRANSLATED


def test_a_chat_model_that_rambles_or_is_asked_too_much_gives_nothing(llama, tmp_path):
    translator = local(llama, tmp_path)
    translator.model.generation_config.eos_token_id = 263  # which it never says in eight tokens
    assert translator.translate(["A dog.", "dog " * 3000], "en", "zh") == ["", ""]


def test_a_model_without_a_chat_template_is_refused(llama, tmp_path):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    tokenizer.chat_template = None
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    with pytest.raises(ValueError, match=r"no chat template; use the instruction-tuned model"):
        local(str(tmp_path / "base"), tmp_path)
