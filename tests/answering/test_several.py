"""One model in two processes: the answers of one, wherever they come from."""

import multiprocessing

import pytest

from skymm.answering.protocol import Ask
from skymm.answering.several import open_processes
from skymm.conversation import Turn
from skymm.evaluation.predictions import read_lines
from skymm.evaluation.run import run
from skymm.recipe import ContrastRecipe, EvalRecipe


@pytest.fixture
def model(tiny_model, tmp_path) -> str:
    for part in tiny_model:
        part.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_two_processes_answer_as_one_does(model, tiny_data, tmp_path):
    recipe = EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"), batch_size=4, max_new_tokens=3)
    contrasted = recipe.model_copy(update={"contrast": ContrastRecipe(kind="blind")})
    one, two = (open_processes(model, number, max_new_tokens=3) for number in (1, 2))
    for name, asked, mode in (("written", recipe, "generate"), ("compared", contrasted, "logits")):
        counted = []
        run(asked, one, tmp_path / name / "one", mode=mode)
        run(asked, two, tmp_path / name / "two", mode=mode, advance=counted.append)
        first, second = (read_lines(tmp_path / name / count) for count in ("one", "two"))
        for lines in (first, second):
            lines.sort(key=lambda line: line["index"])
        # What is said without looking is kept from one batch to the next, and was rounded in that batch.
        odds = [
            [odds for line in lines for odds in (line.pop("logits", None) or {}).values()] for lines in (first, second)
        ]
        assert odds[0] == pytest.approx(odds[1], abs=1e-5)
        seconds = [line.pop("seconds") for line in first + second]
        assert first == second and sum(counted) == len(first) > 12 and min(seconds) > 0
        assert ("contrast" in first[0]["decoding"]) == (mode == "logits")
    assert two.processes == len(multiprocessing.active_children()) == 2
    ask = Ask("Is there a cat?")
    replies = [next(iter(base.answer([ask], "generate")))[1] for base in (one.base_llm(), two.base_llm())]
    assert replies[0] == replies[1] and two.base_llm().name == one.base_llm().name != two.name
    # What goes wrong in one of them is said here.
    with pytest.raises(ValueError, match="the turns before it show"):
        list(two.answer([Ask("?", history=(Turn("user", "?", ("a",)), Turn("assistant", "!")))], "generate"))


def test_what_cannot_be_in_several_processes_is_told(tmp_path):
    with pytest.raises(
        ValueError, match=r"found 2 processes for openai:http://x#y, expected a model that this machine"
    ):
        open_processes("openai:http://x#y", 2, max_new_tokens=1)
    with pytest.raises(ValueError, match="no model directory at nowhere"):
        open_processes("nowhere", 2, max_new_tokens=1)
