"""Calibration: what was fitted is what was there, it is kept by the model, and it is said where answers are kept."""

import json
import math
import random

import pytest
from test_commands import done
from test_compare import write

from skymm.answering.protocol import Ask, calibrated
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.evaluation.calibration import fit
from skymm.evaluation.predictions import read_predictions
from skymm.model.build import build_model
from skymm.train.parts import model_for


def shifted(picture, gold):
    """Right by 1 most of the time, then 3 times as sure and moved to no by 6."""
    mistaken = random.Random(f"{picture}{gold}").random() < 1 / (1 + math.e)
    return 3 * (1 if (gold == "yes") != mistaken else -1) - 6


def test_what_is_fitted_makes_confidence_what_is_right(tmp_path):
    (found,) = fit(read_predictions(write(tmp_path / "run", shifted))).values()
    assert found.num_answers == 80
    # 54 of 80 are right: the temperature makes them as sure as that deserves, and yes is as often right as no.
    assert found.changes["accuracy"] == (0.5, 54 / 80)
    assert 3 / found.temperature == pytest.approx(math.log(54 / 26), abs=0.1)
    assert found.offset == pytest.approx(-6, abs=0.6)
    assert found.changes["yes"][0] == 0 and 0.4 < found.changes["yes"][1] < 0.6
    assert found.changes["calibration error"][0] > 0.4 and found.changes["calibration error"][1] < 0.03


def test_calibrated_log_probabilities():
    moved = calibrated({"yes": math.log(0.2), "no": math.log(0.6)}, offset=math.log(1 / 27), temperature=2.0)
    assert moved == pytest.approx({"yes": math.log(0.6), "no": math.log(0.2)})  # odds: the root of 1/3 * 27
    far = calibrated({"yes": -900.0, "no": -0.1}, offset=0.0, temperature=1.0)
    assert far["yes"] == pytest.approx(-900) and far["no"] == pytest.approx(-0.1)


def test_a_model_keeps_its_calibration_and_says_so(tmp_path, tiny_model_recipe, tiny_stage):
    model, processor = build_model(tiny_model_recipe, seed=0)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    asks = [Ask(text, (picture(),), ("yes", "no")) for text in ("Is there a cat?", "有猫吗？")]
    asks.append(Ask("Is there a cat?", (), ("yes", "no")))
    plain = [reply.logits for _, reply in SkyMMAnswerer.from_directory(tmp_path / "model").answer(asks, "logits")]

    run = write(tmp_path / "run", shifted)
    assert "en: offset -" in done("eval", "calibrate", tmp_path / "model", run)
    answerer = SkyMMAnswerer.from_directory(tmp_path / "model")
    english, chinese, blind = [reply for _, reply in sorted(answerer.answer(asks, "logits"), key=lambda one: one[0])]
    numbers = answerer.decoding["calibration"]["en"]
    assert english.logits == pytest.approx(calibrated(plain[0], **numbers)) and english.text == "Yes"
    assert chinese.logits == pytest.approx(plain[1]), "nothing was fitted to Chinese"
    assert blind.logits == pytest.approx(plain[2]), "it was fitted to pictures"
    assert "calibration" not in answerer.base_llm().decoding

    stage = tiny_stage.model_copy(update={"model": None, "init": str(tmp_path / "model")})
    assert model_for(stage, None)[0].config.calibration is None, "the next stage begins without"
    done("eval", "calibrate", tmp_path / "model", "--reset")
    assert json.loads((tmp_path / "model/config.json").read_text())["calibration"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"logits": False}, "found no log-probabilities of yes and no"),
        ({"decoding": {"calibration": {"en": {}}}}, "calibrated already"),
        ({"odds": lambda picture, gold: -1, "lines": 18}, r"found 9 questions in 'en' that deserve a yes and 9"),
    ],
)
def test_what_is_refused(tmp_path, options, message):
    odds, lines = options.pop("odds", shifted), options.pop("lines", None)
    path = write(tmp_path / "run", odds, **options) / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(ValueError, match=message):
        fit(read_predictions(path))


def picture():
    import io

    from PIL import Image

    stored = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(stored, "PNG")
    return stored.getvalue()
