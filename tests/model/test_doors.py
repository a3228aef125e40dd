"""Whatever door a picture comes through, a model sees the pixels that it sees in training."""

import base64
import io

import pytest
import torch
from PIL import Image
from transformers import pipeline

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.answering.transformers_model import TransformersAnswerer
from skymm.data.features import picture
from skymm.data.shards import Sample
from skymm.images import open_image
from skymm.model.build import build_model

PHOTO = Image.radial_gradient("L").resize((400, 300)).convert("RGB")
HIDDEN = Image.merge("RGBA", (*PHOTO.split(), Image.new("L", PHOTO.size, 0)))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


NASTY = {
    "transparent": encoded(HIDDEN, "PNG"),
    "grey and alpha": encoded(HIDDEN.convert("LA"), "PNG"),
    "clear colour of a palette": encoded(PHOTO.convert("P"), "PNG", transparency=0),
    "16 bits": encoded(PHOTO.convert("I;16").point(lambda value: value * 200), "PNG"),
    "cmyk": encoded(PHOTO.convert("CMYK"), "JPEG"),
    "turned": encoded(PHOTO, "JPEG", exif=turned()),
    "large": encoded(PHOTO.resize((1600, 1200)), "JPEG"),
    "gif": encoded(PHOTO, "GIF"),
}


@pytest.fixture(scope="module")
def opened(tiny_model_recipe, tmp_path_factory):
    """A model that decodes large JPEGs at a fraction, and transformers' pipeline of it."""
    model, processor = build_model(tiny_model_recipe.model_copy(update={"scaled_decode": True}))
    directory = tmp_path_factory.mktemp("model")
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    pipe = pipeline("image-text-to-text", model=str(directory))
    return pipe.model, pipe.processor, pipe


@pytest.mark.parametrize("name", NASTY)
def test_every_door_shows_the_pixels_of_training(opened, name, tmp_path, monkeypatch):
    model, processor, pipe = opened
    data, file = NASTY[name], tmp_path / "picture"
    file.write_bytes(data)
    text, seen, encode = base64.b64encode(data).decode(), [], model.encode_images
    trained = picture(Sample("k", {"png": data}, "s.tar", 0), "png", min_side=model.config.min_side)
    expected = processor.pixels([trained])[0]
    monkeypatch.setattr(model, "encode_images", lambda pixels: seen.append(pixels[0]) or encode(pixels))

    def chat(**source):
        return [{"role": "user", "content": [{"type": "image", **source}, {"type": "text", "text": "?"}]}]

    doors = {
        "bytes": processor(images=data, text="?")["pixel_values"],
        "file": processor(images=[file], text="?")["pixel_values"],
        "base64": processor(images=text, text="?")["pixel_values"],
        "as datasets keep it": processor(images=[{"bytes": data, "path": None}], text="?")["pixel_values"],
        "opened by Pillow": processor(images=Image.open(file), text="?")["pixel_values"],
        "chat, path": processor.apply_chat_template(chat(path=str(file)))["pixel_values"],
        "chat, base64": processor.apply_chat_template(chat(base64=f"data:image/png;base64,{text}"))["pixel_values"],
        "chat, Pillow": processor.apply_chat_template(chat(image=Image.open(file)))["pixel_values"],
    }
    SkyMMAnswerer(model, processor)._features([Ask("?", (data,))])
    pipe(text=chat(path=str(file)), max_new_tokens=1)
    pipe(images=str(file), text="?", max_new_tokens=1)
    pipe(images=[Image.open(file)], text=["?"], max_new_tokens=1)
    doors |= dict(zip(("ask", "pipeline, chat", "pipeline, file", "pipeline, Pillow"), seen, strict=True))
    assert [door for door, pixels in doors.items() if not torch.equal(pixels, expected)] == []


def test_other_models_are_shown_the_same_picture(tiny_vlm, monkeypatch):
    answerer, shown = TransformersAnswerer.from_pretrained(str(tiny_vlm)), []
    call = type(answerer.processor).__call__
    monkeypatch.setattr(
        type(answerer.processor), "__call__", lambda self, **given: shown.append(given["images"]) or call(self, **given)
    )
    answerer.inputs([Ask("?", (data,)) for data in NASTY.values()])
    expected = [[open_image(data)] for data in NASTY.values()]
    assert [[one.tobytes() for one in row] for row in shown[0]] == [[one.tobytes() for one in row] for row in expected]


def test_the_pipeline_of_another_model_is_as_it_was(tiny_vlm, opened):
    pipe = pipeline("image-text-to-text", model=str(tiny_vlm))
    assert pipe(images=PHOTO, text="<image>?", max_new_tokens=1)[0]["generated_text"].startswith("<image>?")


def test_an_address_is_fetched_and_opened_like_a_file(opened, monkeypatch):
    import httpx

    data, asked = NASTY["transparent"], []
    answer = httpx.Response(200, content=data, request=httpx.Request("GET", "https://a.example/b.png"))
    monkeypatch.setattr(httpx, "get", lambda url, **options: asked.append(url) or answer)
    by_address = opened[1](images="https://a.example/b.png", text="?")["pixel_values"]
    assert asked == ["https://a.example/b.png"]
    assert torch.equal(by_address, opened[1](images=data, text="?")["pixel_values"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/a.png", "no image at '/nowhere/a.png'"),
        (torch.zeros(3, 4, 4), "found Tensor as an image"),
        (b"<html>", "found an HTML page"),
    ],
)
def test_what_is_no_image_is_named(opened, source, message):
    with pytest.raises(ValueError, match=message):
        opened[1](images=[source], text="?")
