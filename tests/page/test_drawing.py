"""Pieces of charts: marks that tell series apart, texts that fit."""

from readable import LONG, parsed

from skymm.page.drawing import NUM_STYLES, shortened, swatch, text_width


def test_series_differ_in_shape():
    outlines = {parsed(swatch(index))[0].get("points") for index in range(NUM_STYLES)}
    assert len(outlines) == NUM_STYLES, "two series have the same outline"
    assert "published" in str(swatch(0, published=True))


def test_shortened_fits():
    assert shortened("short", 100) == "short"
    cut = shortened(LONG, 100)
    assert cut.endswith("…") and text_width(cut) <= 100
    assert text_width("汉字", 10) == 20
