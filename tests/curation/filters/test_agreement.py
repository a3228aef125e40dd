"""Agreement: the scores of a tiny CLIP, Chinese-CLIP and SigLIP are what their features give, and captions go one by one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from filter_pictures import candidate, encoded, photo
from PIL import Image
from tiny_parts import byte_tokenizer

from skymm.conversation import Turn
from skymm.curation.filters import Filters
from skymm.curation.filters.agreement import DISAGREE, Agreement
from skymm.recipe.data import AgreementRecipe, FiltersRecipe

TEXTS = ["a red ball", "two dogs", "一只狗", "a" * 400]


@pytest.fixture(scope="session")
def chinese_matcher(tmp_path_factory) -> Path:
    """A whole Chinese-CLIP of two layers: its text tower is a BERT, whose first token is the text's."""
    directory = tmp_path_factory.mktemp("chinese_matcher")
    torch.manual_seed(5)
    characters = list("abcdefghijklmnopqrstuvwxyz一只狗两猫红色的球和在桌上")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{each}" for each in characters)]
    (directory / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.ChineseCLIPConfig(
        text_config=size | {"vocab_size": len(vocabulary), "max_position_embeddings": 40, "pad_token_id": 0},
        vision_config=size | {"image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    transformers.ChineseCLIPModel(config).save_pretrained(directory)
    images = transformers.ChineseCLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False)
    tokenizer = transformers.BertTokenizer(str(directory / "vocab.txt"))
    transformers.ChineseCLIPProcessor(images, tokenizer).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def siglip_matcher(tmp_path_factory) -> Path:
    """A whole SigLIP of two layers: it reads texts of full length only, and its text is its last token."""
    directory = tmp_path_factory.mktemp("siglip_matcher")
    torch.manual_seed(6)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"vocab_size": 264, "max_position_embeddings": 64, "projection_size": 32}
    text |= {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 257}
    config = transformers.SiglipConfig(
        text_config=size | text, vision_config=size | {"image_size": 32, "patch_size": 16}
    )
    transformers.SiglipModel(config).save_pretrained(directory)
    images = transformers.SiglipImageProcessor(size={"height": 32, "width": 32})
    transformers.SiglipProcessor(images, byte_tokenizer()).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session", params=["clip", "chinese_clip", "siglip"])
def matcher(request, tiny_matcher, chinese_matcher, siglip_matcher) -> Path:
    return {"clip": tiny_matcher, "chinese_clip": chinese_matcher, "siglip": siglip_matcher}[request.param]


@lru_cache
def loaded(directory: Path):
    return transformers.AutoModel.from_pretrained(directory).eval(), transformers.AutoProcessor.from_pretrained(
        directory
    )


def direct(directory: Path, image: Image.Image, text: str) -> float:
    """One picture and one text through the model's own forward pass, which normalises and scales by exp(logit_scale)."""
    model, processor = loaded(directory)
    longest = model.config.text_config.max_position_embeddings
    siglip = model.config.model_type == "siglip"
    options = {"padding": "max_length" if siglip else False, "truncation": True, "max_length": longest}
    inputs = processor(text=[text], images=image, return_tensors="pt", **options)
    with torch.inference_mode():
        return float((model(**inputs).logits_per_image - (model.logit_bias if siglip else 0)) / model.logit_scale.exp())


def test_scores_are_what_the_model_gives_for_one(matcher):
    images = [photo(1), photo(2), photo(3).convert("RGBA"), photo(4, (50, 200))]
    expected = [[direct(matcher, image.convert("RGB"), text) for text in TEXTS] for image in images]
    for batch_size in (1, 3, 64):
        agreement = Agreement(AgreementRecipe(model=str(matcher), batch_size=batch_size))
        found = agreement.embed_images(images) @ agreement.embed_texts(TEXTS).T
        assert np.allclose(found, expected, atol=1e-5), batch_size
    assert np.ptp(found) > 1e-3, "scores differ, so that this says something"


def scores_of(directory: Path, pictures: list[bytes], texts: tuple[str, ...]) -> np.ndarray:
    agreement = Agreement(AgreementRecipe(model=str(directory)))
    shown = candidate(*pictures)
    return agreement.embed_images([shown.image(name) for name in shown.encoded]) @ agreement.embed_texts(texts).T


def test_each_caption_is_judged_by_itself(tiny_matcher):
    texts, picture = ("a red ball", "two dogs", "hello", "many people in a street"), encoded(photo(1))
    scores = scores_of(tiny_matcher, [picture], texts)[0]
    middle = float(np.sort(scores)[1:3].mean())
    recipe = AgreementRecipe(model=str(tiny_matcher), min_score=round(middle, 3))
    expected = [text for text, score in zip(texts, scores) if score >= recipe.min_score]
    assert 0 < len(expected) < 4
    outcome = Agreement(recipe).prune([candidate(picture, captions=texts)])[0]
    assert [caption.text for caption in outcome.record.captions] == expected
    assert outcome.dropped == {DISAGREE: 4 - len(expected)} and outcome.reason is None


def test_the_best_of_several_pictures_counts(tiny_matcher):
    pictures, texts = [encoded(photo(seed)) for seed in range(6)], ("a red ball",)
    scores = scores_of(tiny_matcher, pictures, texts)[:, 0]
    best, second = np.sort(scores)[[-1, -2]]
    assert best - second > 2e-4
    recipe = AgreementRecipe(model=str(tiny_matcher), min_score=round(float(best + second) / 2, 4))
    without = [picture for picture, score in zip(pictures, scores) if score < best]
    outcomes = Agreement(recipe).prune([candidate(*each, captions=texts) for each in (pictures, without)])
    assert [outcome.reason for outcome in outcomes] == [None, DISAGREE]


def test_what_the_model_cannot_judge_stays(tiny_matcher):
    recipe = AgreementRecipe(model=str(tiny_matcher), min_score=1.0, languages=["en"])
    picture, turns = encoded(photo(1)), (Turn("user", "?"), Turn("assistant", "Yes"))
    candidates = [
        candidate(picture, captions=("一只狗",), language="zh"),
        candidate(captions=("no picture at all",)),
        candidate(picture, turns=turns),
        candidate(picture, captions=("a dog",), turns=turns),
        candidate(picture, captions=("a dog",)),
    ]
    outcomes = Agreement(recipe).prune(candidates)
    assert [outcome.reason for outcome in outcomes] == [None, None, None, None, DISAGREE]
    assert [outcome.dropped for outcome in outcomes] == [{}, {}, {}, {DISAGREE: 1}, {DISAGREE: 1}]
    assert outcomes[3].record.captions == () and outcomes[3].record.turns == turns


def test_nothing_to_judge_loads_no_model():
    recipe = AgreementRecipe(model="/nowhere")
    assert Agreement(recipe).prune([candidate(captions=("text only",))])[0].reason is None
    assert Agreement(recipe).prune([]) == []


def test_models_that_will_not_do_are_named(tmp_path, tiny_llm):
    with pytest.raises(ValueError, match=r"filters\.agreement\.model: .*nowhere.* does not load.*CLIP-like"):
        Agreement(AgreementRecipe(model=str(tmp_path / "nowhere"))).embed_texts(["a"])
    with pytest.raises(ValueError, match=r"LlamaModel, which does not embed both"):
        Agreement(AgreementRecipe(model=str(tiny_llm))).embed_texts(["a"])


def test_it_is_the_last_filter(tiny_matcher):
    filters = Filters(FiltersRecipe(agreement=AgreementRecipe(model=str(tiny_matcher), min_score=1.0)))
    blank = encoded(Image.new("RGB", (64, 64)))
    outcomes = filters.sift([candidate(blank, captions=("a",)), candidate(encoded(photo(1)), captions=("a",))])
    assert [outcome.reason for outcome in outcomes] == ["blank image", DISAGREE]
