"""Translation models: one of NLLB's kind that has really learned a few sentences, and what the other families want."""

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from skymm.conversation import Turn
from skymm.curation.record import Caption, Record
from skymm.curation.translation import translate_records
from skymm.curation.translation.cache import TranslationCache
from skymm.curation.translation.translators import (
    Seq2SeqTranslator,
    batches,
    fingerprint,
    open_translators,
    split_sentences,
)
from skymm.recipe.data import TranslationRecipe

THINGS = {"dog": "狗", "cat": "猫", "bird": "鸟"}
PAIRS = [
    pair
    for en, zh in THINGS.items()
    for pair in [
        (f"The {en} sleeps on the big red table.", f"{zh}在红色的大桌子上睡。"),
        (f"Is there a {en} in the picture?", f"图中有{zh}吗？"),
        (f"Yes, there is a {en} in the picture.", f"是的，图中有{zh}。"),
        (f"No, there is no {en} in the picture.", f"不，图中没有{zh}。"),
        (f"There are X1X {en}s in the picture.", f"图中有X1X只{zh}。"),
        (f"Many {en}s.", f"很多{zh}。"),
    ]
]


def small(heads, width):
    return {
        f"{part}_{name}": size
        for part in ("encoder", "decoder")
        for name, size in (("layers", 1), ("attention_heads", heads), ("ffn_dim", width))
    }


def save(model, tokenizer, directory):
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="module")
def nllb(tmp_path_factory):
    """The real tokenizer class and architecture of NLLB, small, trained until it knows PAIRS both ways."""
    torch.manual_seed(0)
    learned = Tokenizer(models.BPE(unk_token="<unk>"))
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["<s>", "<pad>", "</s>", "<unk>", "eng_Latn", "zho_Hans", "<mask>"]
    learned.train_from_iterator((text for pair in PAIRS for text in pair), trainers.BpeTrainer(special_tokens=names))
    tokenizer = transformers.NllbTokenizer(
        vocab=learned.get_vocab(),
        merges=[tuple(pair) for pair in json.loads(learned.to_str())["model"]["merges"]],
        extra_special_tokens=["eng_Latn", "zho_Hans"],
    )
    config = transformers.M2M100Config(
        vocab_size=len(tokenizer), d_model=96, **small(4, 192), init_std=0.1,
        dropout=0.0, activation_dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    model = transformers.M2M100ForConditionalGeneration(config)
    inputs, answers = [], []
    for en, zh in PAIRS:
        for source, text, target, answer in (("eng_Latn", en, "zho_Hans", zh), ("zho_Hans", zh, "eng_Latn", en)):
            tokenizer.src_lang, tokenizer.tgt_lang = source, target
            both = tokenizer(text, text_target=answer)
            inputs.append(torch.tensor(both["input_ids"]))
            answers.append(torch.tensor(both["labels"]))
    ids = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True, padding_value=1)
    labels = torch.nn.utils.rnn.pad_sequence(answers, batch_first=True, padding_value=-100)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(200):
        out = model(input_ids=ids, attention_mask=(ids != 1).long(), labels=labels)
        out.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        likely = out.logits.detach().softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        if (likely[labels >= 0] > 0.6).all():
            break
    else:
        pytest.fail(f"it did not learn its sentences: loss {out.loss.item()}")
    return save(model, tokenizer, tmp_path_factory.mktemp("nllb"))


def opened(model, tmp_path, **more):
    return open_translators(recipe_of(model, tmp_path, **more))[0]


def recipe_of(model, tmp_path, **more):
    return TranslationRecipe(
        **{"model": model, "to": "zh", "cache": str(tmp_path / "cache.sqlite"), "batch_size": 4} | more
    )


ON_THE_TABLE, TWELVE = "The dog sleeps on the big red table.", "There are 12 cats in the picture."
BIRDS = "Yes, there is a bird in the picture. There are 3 birds in the picture."
RECORDS = [
    Record("a", captions=(Caption(ON_THE_TABLE, "en"), Caption(TWELVE, "en"))),
    Record(
        "b",
        turns=(
            Turn("user", "Is there a cat in the picture?", ("jpg",)),
            Turn("assistant", "No, there is no cat in the picture.", (), "negative", "existence", "en"),
            Turn("user", "Is there a bird in the picture?"),
            Turn("assistant", BIRDS, (), "positive", "existence", "en"),
        ),
    ),
    Record("c", captions=(Caption("图中有猫。", "zh"),)),
]


def test_a_real_model_translates_records_and_is_asked_once(nllb, tmp_path, monkeypatch):
    recipe = recipe_of(nllb, tmp_path)
    translator, _ = ways = open_translators(recipe)
    made, reasons = translate_records(RECORDS, recipe, ways, TranslationCache(recipe.cache))
    assert reasons == {} and [record.key for record in made] == ["a", "b", "b-zh", "c"]
    assert [caption.text for caption in made[0].captions[2:]] == ["狗在红色的大桌子上睡。", "图中有12只猫。"]
    assert [turn.text for turn in made[2].turns] == [
        "图中有猫吗？",
        "不，图中没有猫。",
        "图中有鸟吗？",
        "是的，图中有鸟。图中有3只鸟。",
    ]
    monkeypatch.setattr(translator.model, "generate", None)
    again = translate_records(RECORDS, recipe, ways, TranslationCache(recipe.cache))
    assert again == (made, reasons), "all of it is in the cache"


@pytest.mark.parametrize(("source", "target", "names"), [("en", "zh", (4, 5)), ("zh", "en", (5, 4))])
def test_both_languages_are_named_to_the_model(nllb, tmp_path, monkeypatch, source, target, names):
    translator, seen = opened(nllb, tmp_path), []
    generate = translator.model.generate
    monkeypatch.setattr(translator.model, "generate", lambda **options: seen.append(options) or generate(**options))
    translator.translate(["Many dogs. 很多狗。"], source, target)
    tokens = translator.tokenizer.convert_tokens_to_ids(["eng_Latn", "zho_Hans"])
    assert tokens == [4, 5]
    assert (int(seen[0]["input_ids"][0, 0]), seen[0]["forced_bos_token_id"]) == names


def test_an_answer_does_not_depend_on_what_stands_beside_it(nllb, tmp_path):
    """Not in the last bit of a logit: shapes are fixed by a text's own length."""
    translator = opened(nllb, tmp_path)
    scores = {}
    generate = translator.model.generate

    def watched(**options):
        out = generate(**options, output_logits=True, return_dict_in_generate=True)
        for row, (ids, mask) in enumerate(zip(options["input_ids"].tolist(), options["attention_mask"].tolist())):
            prompt = tuple(token for token, seen in zip(ids, mask) if seen)
            scores.setdefault(prompt, []).append(out.logits[0][row].clone())
        return out.sequences

    translator.model.generate = watched
    texts = [en for en, _ in PAIRS]
    together = translator.translate(texts, "en", "zh")
    alone = [translator.translate([text], "en", "zh")[0] for text in texts]
    assert together == alone == [zh for _, zh in PAIRS]
    assert all(torch.equal(one, other) for seen in scores.values() for one, other in pairwise(seen))
    assert all(len(seen) >= 2 for seen in scores.values())


def test_a_sentence_without_an_end_is_no_translation(nllb, tmp_path):
    for few in (1, 2):  # two are a sentence without its end, after a first token that is the model's end token as well
        translator = opened(nllb, tmp_path, max_new_tokens=few)
        assert translator.translate(["Many dogs. The dog sleeps on the big red table."], "en", "zh") == [""]
    long = opened(nllb, tmp_path)
    assert long.translate(["dog " * 2000], "en", "zh") == [""], "longer than the model has positions for"


def test_paragraphs_lists_and_bare_numbers_keep_their_form(nllb, tmp_path):
    text = "- Many dogs. Many cats.\n\n- X1X.\n- Many birds."
    [said] = opened(nllb, tmp_path).translate([text], "en", "zh")
    assert said == "- 很多狗。很多猫。\n\n- X1X.\n- 很多鸟。"


# --- models of one direction ---------------------------------------------------------------------------------------


def marian(directory):
    """Marian's architecture with random weights; its own tokenizer needs sentencepiece, so this is a plain one."""
    torch.manual_seed(0)
    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", "dog", "狗", "cat", "猫"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )
    config = transformers.MarianConfig(
        vocab_size=7, d_model=16, **small(2, 16), pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0, max_position_embeddings=64, forced_eos_token_id=1,
    )  # fmt: skip
    model = transformers.MarianMTModel(config)
    model.generation_config.update(num_beams=4, max_length=20)
    return save(model, tokenizer, directory)


def test_a_model_of_one_direction_wants_another_for_the_way_back(tmp_path):
    there, back = marian(tmp_path / "there"), marian(tmp_path / "back")
    with pytest.raises(
        ValueError, match=r"one way only.*translation.back_model, or set translation.min_round_trip = 0"
    ):
        opened(there, tmp_path)
    alone, again = open_translators(recipe_of(there, tmp_path, min_round_trip=0))
    assert alone is again and isinstance(alone, Seq2SeqTranslator)
    forward, backward = open_translators(recipe_of(there, tmp_path, back_model=back))
    assert (forward.name, backward.name) == (there, back)


def test_an_answer_that_was_cut_off_is_not_made_to_look_finished(tmp_path):
    """Marian's settings force an end at the last place."""
    translator = opened(marian(tmp_path / "m"), tmp_path, min_round_trip=0, max_new_tokens=8)
    translator.model.final_logits_bias[0, 1] = -1e4  # it never ends by itself
    assert translator.translate(["dog cat"], "en", "zh") == [""]


def test_the_wrong_direction_is_told():
    def of(tokens, **told):
        tokenizer = SimpleNamespace(get_vocab=lambda: dict.fromkeys(tokens, 1), **told)
        return Seq2SeqTranslator(None, tokenizer, "", "opus-mt-zh-en", 16, 512)

    with pytest.raises(
        ValueError, match=r"opus-mt-zh-en translates from zho into eng, expected .* English into Chinese"
    ):
        of([], source_lang="zho", target_lang="eng").check_direction("en", "zh")
    of([], source_lang="zho", target_lang="eng").check_direction("zh", "en")
    of([]).check_direction("en", "zh")
    assert of(["__en__", "__zh__"]).both_ways and of(["en_XX", "zh_CN"]).both_ways and of(["<2en>", "<2zh>"]).both_ways
    assert not of([">>cmn_Hans<<"]).both_ways
    assert of([">>cmn_Hans<<"])._prefix == {"en": None, "zh": ">>cmn_Hans<<"}


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_model_that_is_not_there_or_none(tmp_path):
    for model in ("nowhere", "/nowhere/at/all", "./x/y"):
        with pytest.raises(ValueError, match=r"no directory at .*expected a directory, a hub id"):
            opened(model, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be loaded"):
        opened(str(tmp_path), tmp_path)


def test_a_model_that_changed_is_another(nllb, tmp_path):
    first = opened(nllb, tmp_path).identity
    assert first == opened(nllb, tmp_path).identity
    assert first != opened(nllb, tmp_path, max_new_tokens=100).identity
    for name, data in (("config.json", b"{}"), ("weights", b"0" * 3_000_000)):
        (tmp_path / name).write_bytes(data)
    before = fingerprint(tmp_path)
    (tmp_path / "weights").write_bytes(b"0" * 2_999_999 + b"1")
    assert before != fingerprint(tmp_path) and fingerprint(Path(nllb)) == fingerprint(Path(nllb))


# --- batches and sentences -----------------------------------------------------------------------------------------


def test_every_text_is_in_one_full_batch_of_few_lengths():
    found = batches([5, 70, 6, 7, 100, 8, 66, 9, 17, 300], 3, 120)
    assert all(len(indices) == 3 for _, indices in found) and [length for length, _ in found] == [16, 16, 32, 120]
    assert sorted({index for _, indices in found for index in indices}) == list(range(9)), "what is too long is in none"


SENTENCES = {
    "A dog. A cat! Is it? Mr. Smith has No. 5 here.": 4,
    "有狗。有猫！“好的。”走了": 4,
    "one\n\n- two. Three": 3,
    "It costs 3.5 dollars, e.g. here.": 1,
    "Wait... what? Yes.": 2,
    'He said "So." Then left.': 2,
    "  \n ": 2,
    "": 1,
}


def test_sentences():
    cut = {text: split_sentences(text) for text in SENTENCES}
    assert {text: len(parts) for text, parts in cut.items()} == SENTENCES
    assert all("".join(before + sentence for before, sentence in parts) == text for text, parts in cut.items())
