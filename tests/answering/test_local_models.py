"""Our model, a VLM of transformers' own and a tower as answerers: together as one by one, and each image seen once."""

import io
import math
from dataclasses import replace

import pytest
import torch
import transformers
from PIL import Image

from skymm.answering.local import FORMS, compare, fingerprint
from skymm.answering.opening import open_answerer
from skymm.answering.protocol import Ask, Sampling, chosen
from skymm.answering.skymm_model import SkyMMAnswerer, common_start
from skymm.answering.transformers_model import TowerAnswerer, TransformersAnswerer
from skymm.conversation import Conversation, Turn

YES_NO = ("yes", "no")


def picture(colour):
    data = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(data, "PNG")
    return data.getvalue()


RED, GREEN, BLUE = (picture(colour) for colour in ("red", "green", "blue"))
ASKS = [
    Ask("Is it red?", (RED,), YES_NO),
    Ask("是蓝色吗？", (RED,), YES_NO),
    Ask("Is it a long question about a green picture?", (GREEN,), YES_NO),
    Ask("no?", (GREEN,), YES_NO),
    Ask("What is it?", (BLUE,)),
    Ask("A, B or C?", (BLUE,), ("A", "B", "C")),
    Ask("Is it? No picture.", (), YES_NO),
]


@pytest.fixture(params=["skymm", "transformers"])
def answerer(request, tiny_vlm):
    if request.param == "transformers":
        answerer = TransformersAnswerer.from_pretrained(str(tiny_vlm), max_new_tokens=6)
        answerer.model.float()
        return answerer
    model, processor = request.getfixturevalue("tiny_model")
    model.generation_config.eos_token_id = None  # random weights like to stop at once
    return SkyMMAnswerer(model, processor, max_new_tokens=6)


def replies(answerer, asks, mode):
    return [reply for _, reply in sorted(answerer.answer(asks, mode), key=lambda one: one[0])]


def test_together_as_one_by_one_and_both_modes_say_the_same_about_choices(answerer):
    found = {}
    for mode in ("generate", "logits"):
        together = found[mode] = replies(answerer, ASKS, mode)
        alone = [replies(answerer, [ask], mode)[0] for ask in ASKS]
        assert [one.text for one in together] == [one.text for one in alone] and len({one.text for one in together}) > 1
        for ask, one, other in zip(ASKS, together, alone):
            assert (one.logits is None) == (not ask.choices)
            if ask.choices:
                assert set(one.logits) == set(ask.choices)
                assert one.logits == pytest.approx(other.logits, abs=1e-4)
                assert mode == "generate" or one.text == chosen(one.logits)
    for written, compared in zip(found["generate"], found["logits"]):
        assert written.logits is None or written.logits == pytest.approx(compared.logits, abs=1e-4)


def test_what_comes_piece_by_piece_is_the_reply(answerer):
    for ask in ASKS:
        pieces = list(answerer.stream(ask))
        assert "".join(pieces) == replies(answerer, [ask], "generate")[0].text
    answerer.max_new_tokens = 200
    pieces = answerer.stream(ASKS[0])
    next(pieces)
    seen = []
    hook = answerer.model.get_output_embeddings().register_forward_hook(lambda *_: seen.append(1))
    pieces.close()  # who goes away does not let it write on
    hook.remove()
    assert len(seen) < 100
    with pytest.raises(ValueError, match="image of the question"):
        list(answerer.stream(Ask("?", (RED[:40],))))


def test_earlier_turns_and_their_pictures_are_read_before_the_prompt(answerer):
    history = (Turn("system", "Be brief."), Turn("user", "Is it?", ("first",)), Turn("assistant", "No."))
    ask = Ask("And this?", (RED, BLUE), history=history)
    with_history = answerer.inputs([ask])["input_ids"][0].tolist()
    if isinstance(answerer, SkyMMAnswerer):
        talk = Conversation("k", (*history, Turn("user", "And this?", ("second",))))
        assert with_history == answerer.processor.chat.encode_prompt(talk).ids
    else:
        text = answerer.tokenizer.decode(with_history)
        marks = [text.index(words) for words in ("Be brief.", "<image>", "Is it?", "No.")]
        assert marks == sorted(marks) and text.index("No.") < text.rindex("<image>") < text.index("And this?")
    with pytest.raises(ValueError, match="the turns before it show 1 images, found 0"):
        answerer.inputs([Ask("?", history=history)])


def test_a_begun_answer_is_gone_on_with(answerer):
    answerer.max_new_tokens = 12
    asks = [replace(one, choices=(), said="It is red, 而且") for one in ASKS]
    for ask, reply in zip(asks, replies(answerer, asks, "generate")):
        whole = answerer.inputs([ask])["input_ids"][0].tolist()
        assert answerer.tokenizer.decode(whole).endswith("assistant\nIt is red, 而且")
        assert reply.text == replies(answerer, [ask], "generate")[0].text and not reply.text.startswith("It is")


def test_sampling_is_each_asks_own(answerer):
    greedy, short = ASKS[0], replace(ASKS[0], sampling=Sampling(max_new_tokens=2))
    cold, hot = (replace(ASKS[0], sampling=Sampling(temperature=one, top_p=0.99)) for one in (1e-4, 50.0))
    torch.manual_seed(0)
    texts = [reply.text for reply in replies(answerer, [greedy, hot, short, cold], "generate")]
    assert texts[0] == texts[3] != texts[1] and texts[0].startswith(texts[2]) and len(texts[2]) < len(texts[0])
    torch.manual_seed(0)
    again, other = (replies(answerer, [hot], "generate")[0].text for _ in range(2))
    assert again != other


def test_the_choices_probabilities_are_those_of_every_way_to_write_them(answerer):
    """Each form spelled out byte by byte, in passes of its own."""
    ask = ASKS[1]
    [reply] = replies(answerer, [ask], "logits")
    encode = answerer.tokenizer.encode

    @torch.inference_mode()
    def log_p(run):
        return sum(
            float(torch.log_softmax(answerer.next_logits([ask], [run[:n]]).float(), -1)[0, run[n]])
            for n in range(len(run))
        )

    # In bytes, a form decides with its first byte that no form of the other choice shares at that place.
    runs = {name: {tuple(encode(form, add_special_tokens=False)) for form in forms} for name, forms in FORMS.items()}
    for name, other in (("yes", "no"), ("no", "yes")):
        deciding = set()
        for run in runs[name]:
            length = next(n for n in range(1, 9) if not any(one[:n] == run[:n] for one in runs[other]))
            deciding.add(run[:length])
        expected = math.log(sum(math.exp(log_p(run)) for run in deciding))
        assert reply.logits[name] == pytest.approx(expected, abs=1e-4)


def test_every_image_is_seen_once_by_the_tower(answerer):
    tower = answerer.model.towers[0] if isinstance(answerer, SkyMMAnswerer) else answerer.model.model.vision_tower
    seen = []

    def count(module, args, kwargs, output):
        pixels = next(one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor))
        seen.append(pixels.shape[0])

    hook = tower.register_forward_hook(count, with_kwargs=True)
    asks = [
        Ask(f"{question} {number}?", (image,), YES_NO)
        for image in (RED, GREEN, BLUE)
        for number, question in enumerate(("Is it", "Was it", "Does it"))
    ]
    replies(answerer, asks, "logits")
    assert sum(seen) == 3, "nine questions about three pictures"
    seen.clear()
    replies(answerer, asks, "generate")
    # Ours still knows the pictures of the batch before.
    assert sum(seen) == (0 if isinstance(answerer, SkyMMAnswerer) else 3)
    hook.remove()


def test_the_vlm_is_left_as_it_was(tiny_vlm):
    answerer = TransformersAnswerer.from_pretrained(str(tiny_vlm))
    before = answerer.model.model.get_image_features
    replies(answerer, ASKS[:2], "logits")
    assert answerer.model.model.get_image_features == before and "get_image_features" not in vars(answerer.model.model)
    processor = transformers.AutoProcessor.from_pretrained(tiny_vlm)
    processor.chat_template = processor.tokenizer.chat_template = None
    with pytest.raises(ValueError, match="somebody has no chat template"):
        TransformersAnswerer(answerer.model, processor, name="somebody")


def test_a_broken_picture_is_named(answerer):
    with pytest.raises(ValueError, match="image of color/3"):
        replies(answerer, [Ask("Is it?", (RED[:40],), YES_NO, "color/3")], "logits")


def test_the_base_llm_is_the_model_without_lora_and_without_eyes(tiny_model):
    model, processor = tiny_model
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_()
    ours = SkyMMAnswerer(model, processor, name="ours")
    base = ours.base_llm()
    assert base.name == "ours (base LLM)"
    ask = Ask("Is it red?", (), YES_NO)
    with_lora, without = (replies(one, [ask], "logits")[0].logits for one in (ours, base))
    assert with_lora != pytest.approx(without, abs=1e-3)
    with model.lora_off():
        assert replies(ours, [ask], "logits")[0].logits == without
    with pytest.raises(ValueError, match="has no eyes"):
        replies(base, ASKS[:1], "logits")


def test_an_llm_answers_without_images(tiny_llm):
    answerer = open_answerer(str(tiny_llm), max_new_tokens=4)
    assert isinstance(answerer, TransformersAnswerer)
    answerer.model.float()
    texts = Ask("Is it?", (), YES_NO), Ask("一个更长的问题，是吗？", (), YES_NO)
    together = replies(answerer, texts, "logits")
    assert [one.logits for one in together] == [
        pytest.approx(replies(answerer, [ask], "logits")[0].logits, abs=1e-4) for ask in texts
    ]
    with pytest.raises(ValueError, match="language model without eyes"):
        replies(answerer, ASKS[:1], "generate")


def test_what_stands_behind_model(tiny_vlm, tiny_model, tiny_matcher, tmp_path):
    model, processor = tiny_model
    model.save_pretrained(tmp_path / "ours")
    processor.save_pretrained(tmp_path / "ours")
    assert isinstance(open_answerer(str(tmp_path / "ours"), max_new_tokens=1), SkyMMAnswerer)
    assert isinstance(open_answerer(f"hf:{tiny_vlm}", max_new_tokens=1), TransformersAnswerer)
    assert isinstance(open_answerer(str(tiny_matcher), max_new_tokens=1, tower=True), TowerAnswerer)
    endpoint = open_answerer("openai:http://localhost:1/v1#org/model", max_new_tokens=1)
    assert (endpoint.model, endpoint.name) == ("org/model", "openai:http://localhost:1/v1#org/model")
    for wrong, words in [
        ("openai:http://localhost:1/v1", "expected openai:URL#MODEL"),
        (str(tmp_path / "nowhere"), "no model directory at"),
    ]:
        with pytest.raises(ValueError, match=words):
            open_answerer(wrong, max_new_tokens=1)


def test_a_tower_chooses_by_its_own_similarity(tiny_matcher, tiny_tower):
    answerer = TowerAnswerer.from_pretrained(str(tiny_matcher))
    asks = [
        Ask(text, images, ("first", "second"))
        for text, images in [
            ("a photo of red", (RED, BLUE)),
            ("a photo of a longer text", (RED, BLUE)),
            ("green", (GREEN, RED)),
        ]
    ]
    processor = transformers.AutoProcessor.from_pretrained(tiny_matcher)
    for ask, reply in zip(asks, replies(answerer, asks, "logits")):
        pictures = [Image.open(io.BytesIO(data)) for data in ask.images]
        with torch.no_grad():
            inputs = processor(text=[ask.prompt], images=pictures, return_tensors="pt", padding=True)
            expected = answerer.model(**inputs).logits_per_text[0].log_softmax(0)
        assert list(reply.logits.values()) == pytest.approx(expected.tolist(), abs=1e-4)
        assert reply.text == ("first" if expected[0] > expected[1] else "second")
    with pytest.raises(ValueError, match="a tower chooses an image"):
        replies(answerer, [Ask("x", (RED,), ("first", "second"))], "logits")
    with pytest.raises(ValueError, match="expected a model of texts and images"):
        TowerAnswerer(transformers.AutoModel.from_pretrained(tiny_tower), None, name="a tower")


def test_a_model_with_a_penalty_on_words_answers_without_it(answerer):
    """Such settings weigh on words of the prompt, and so on the very choices that it names."""
    [before] = replies(answerer, [ASKS[0]], "generate")
    model = answerer.model
    for settings in (model.generation_config, getattr(model, "language_model", model).generation_config):
        settings.repetition_penalty = 5.0
    [after] = replies(answerer, [ASKS[0]], "generate")
    assert after == before


def test_weights_have_a_fingerprint_that_training_changes(answerer):
    before = answerer.weights
    assert before == fingerprint(answerer.model) and len(before) == 16
    next(parameter for parameter in answerer.model.parameters() if parameter.ndim == 2).data[0, 0] += 1
    assert fingerprint(answerer.model) != before


def test_an_answer_that_was_cut_is_known_from_one_that_ends(answerer):
    asks = [ASKS[0], ASKS[4]]
    full, *_ = answerer.generate(asks)
    assert [reply.finish_reason for reply in replies(answerer, asks, "generate")] == ["length", "length"]
    answerer.model.generation_config.eos_token_id = int(full[0, -1])  # the last token that it may say ends the answer
    again, *_ = answerer.generate(asks)
    expected = ["stop" if int(full[0, -1]) in row.tolist() else "length" for row in again]
    assert [reply.finish_reason for reply in replies(answerer, asks, "generate")] == expected and expected[0] == "stop"
    answerer.model.generation_config.eos_token_id = None


# --- what is shared is read once -----------------------------------------------------------------------------------------

PATCH = 99


@pytest.mark.parametrize(
    ("prompts", "groups", "shared"),
    [
        ([[1, PATCH, 2, 3], [1, PATCH, 2, 4, 5]], "aa", 3),
        ([[1, PATCH, 2, 3], [1, PATCH, 2]], "aa", 2),  # the last token is never shared: its logits are wanted
        ([[1, PATCH, 2, 3], [1, PATCH, 2, 3]], "aa", 3),
        ([[1, PATCH, 2, 3], [1, PATCH, 2, 4]], "ab", 0),  # nobody to share with
        ([[1, PATCH, 2, 3], [1, PATCH, 2, 4], [7, PATCH, 8, 9]], "aab", 3),  # within groups, not between them
        ([[1, PATCH, PATCH, 2], [1, PATCH, 3, 4]], "aa", 0),  # an image would be cut off
    ],
)
def test_how_much_is_shared(prompts, groups, shared):
    assert common_start(prompts, groups, PATCH) == shared


def test_what_is_written_and_what_is_compared_read_the_prompt_once(answerer):
    """Yes and no need a second token in bytes, so they are compared behind what is read already."""
    llm = answerer.model.language_model if isinstance(answerer, SkyMMAnswerer) else answerer.model.model.language_model
    read = []

    def count(module, args, kwargs, output):
        given = kwargs["inputs_embeds"] if kwargs.get("inputs_embeds") is not None else kwargs["input_ids"]
        read.append(given.shape[0] * given.shape[1])

    asks = [ASKS[0], ASKS[2]]  # of two pictures: nothing to share but a question's own prompt
    prompts = answerer.inputs(asks)["input_ids"].numel()
    beginnings = sum(len(said) == 1 for said in answerer.choices.branches(YES_NO))
    assert beginnings == len(answerer.choices.branches(YES_NO)) - 1 > 0
    hook = llm.register_forward_hook(count, with_kwargs=True)
    for mode, written in (("generate", answerer.max_new_tokens - 1), ("logits", 0)):
        read.clear()
        replies(answerer, asks, mode)
        assert sum(read) == prompts + len(asks) * (written + beginnings), mode
    hook.remove()


def test_a_memory_that_cannot_go_back_is_not_asked_to(tiny_llm):
    """A window that slides forgets what stood before what is taken back."""
    torch.manual_seed(0)
    shape = {"vocab_size": 264, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.2}
    model = transformers.MistralForCausalLM(transformers.MistralConfig(**shape, **heads, sliding_window=8))
    answerer = TransformersAnswerer(
        model, transformers.AutoTokenizer.from_pretrained(tiny_llm), name="it", max_new_tokens=4
    )
    asks = [Ask("Is it?", (), YES_NO), Ask("Or is it not?", (), YES_NO)]

    def alone(ask):
        first, again = answerer.next_logits([ask], [()]), lambda _, said: answerer.next_logits([ask], said)
        return compare([YES_NO], first, answerer.choices, again)

    expected = [alone(ask) for ask in asks]
    for mode in ("generate", "logits"):
        for reply, [logits] in zip(replies(answerer, asks, mode), expected):
            assert reply.logits == pytest.approx(logits, abs=1e-4), mode


@pytest.mark.parametrize("said", [(), (5,), (5, 7)])
def test_the_logits_are_those_of_reading_everything(tiny_model, monkeypatch, said):
    answerer = SkyMMAnswerer(*tiny_model)
    asks = [
        Ask("Is it red?", (RED,)),
        Ask("是一个很长很长的问题吗？", (RED,)),
        Ask("a", (GREEN,)),
        Ask("Is it blue or green?", (BLUE,)),
        Ask("Is it red?", (BLUE,)),
    ]
    rows, language_model = [], answerer.model.language_model
    hook = language_model.register_forward_hook(
        lambda module, args, kwargs, output: rows.append(tuple(kwargs["inputs_embeds"].shape[:2])), with_kwargs=True
    )
    plain = [Ask("Is it red?"), Ask("Was it?")]  # these share their system turn
    with torch.inference_mode():
        shared, shared_plain = (answerer.next_logits(some, [said] * len(some)) for some in (asks, plain))
        monkeypatch.setattr("skymm.answering.skymm_model.common_start", lambda *arguments: 0)
        whole, whole_plain = (answerer.next_logits(some, [said] * len(some)) for some in (asks, plain))
    hook.remove()
    torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shared_plain, whole_plain, rtol=1e-4, atol=1e-4)
    (starts, start_length), (rests, rest_length), _, _, (everything, length), _ = rows
    assert (starts, rests, everything) == (3, 5, 5) and start_length + rest_length == length
    assert start_length > answerer.model.config.num_latents


@pytest.mark.parametrize("short", ["Is it red?", "a"])
def test_what_is_asked_several_times_is_read_once(tiny_model, short):
    """Also where it begins as another one does, and where that is all of it but a token."""
    answerer = SkyMMAnswerer(*tiny_model)
    once = [Ask(short, (RED,)), Ask("是一个很长很长的问题吗？", (RED,)), Ask(short, (BLUE,)), Ask("Is it?")]
    asks = [once[place] for place in (1, 0, 1, 2, 3, 0, 1)]
    read = []
    hook = answerer.model.language_model.register_forward_hook(
        lambda module, args, kwargs, output: read.append(kwargs["inputs_embeds"].shape[:2].numel()), with_kwargs=True
    )
    with torch.inference_mode():
        logits = answerer.next_logits(asks, [()] * len(asks))
        hook.remove()
        length = answerer.inputs(asks)["input_ids"].shape[1]
        alone = torch.cat([answerer.next_logits([ask], [()]) for ask in asks])
    torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-4)
    assert sum(read) <= len(once) * (length - 1) + len(asks)
