"""Each piece is made once, whatever happens in between; the manifest tells what is whole."""

import json

import jobs
import pytest

from skymm.curation.building.engines import Local
from skymm.curation.building.manifest import Manifest
from skymm.curation.building.pieces import Piece, Workshop


def shop(directory, workers=1):
    return Workshop(directory, Manifest(directory), Local(workers))


def pieces(directory, numbers, inputs="a"):
    return [Piece(f"piece {x}", f"{inputs}{x}", {"directory": str(directory), "x": x}) for x in numbers]


def made(directory):
    return sorted(map(int, (directory / "made.log").read_text().split()))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_there_is_not_made_again(tmp_path, workers):
    shop(tmp_path, workers).make("making", pieces(tmp_path, [1, 2]), jobs.write)
    lines = shop(tmp_path, workers).make("making", pieces(tmp_path, [3, 1, 2, 4]), jobs.write)
    assert [line["count"] for line in lines] == [3, 1, 2, 4] and made(tmp_path) == [1, 2, 3, 4]


def test_other_inputs_and_lost_or_cut_files_are_made_again(tmp_path):
    shop(tmp_path).make("making", pieces(tmp_path, [1, 2, 3]), jobs.write)
    (tmp_path / "1.txt").unlink()
    (tmp_path / "2.txt").write_text("x")
    changed = pieces(tmp_path, [1, 2]) + pieces(tmp_path, [3], inputs="b")
    shop(tmp_path).make("making", changed, jobs.write)
    assert made(tmp_path) == [1, 1, 2, 2, 3, 3]
    assert (tmp_path / "2.txt").read_text() == "xx"


def test_what_a_stopped_change_may_have_touched_is_made_again(tmp_path):
    """The files of another recipe may have the same size, and a kill may come before their line."""
    shop(tmp_path).make("making", pieces(tmp_path, [3]), jobs.write)
    with pytest.raises(ValueError, match="three is not"):
        shop(tmp_path).make("making", pieces(tmp_path, [3], inputs="b"), jobs.refuse)
    shop(tmp_path).make("making", pieces(tmp_path, [3]), jobs.write)
    assert made(tmp_path) == [3, 3]


def test_a_line_that_was_half_written_does_not_count(tmp_path):
    shop(tmp_path).make("making", pieces(tmp_path, [1, 2]), jobs.write)
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    shop(tmp_path).make("making", pieces(tmp_path, [1, 2, 3]), jobs.write)
    assert made(tmp_path) == [1, 2, 2, 3]
    assert [json.loads(line)["piece"] for line in path.read_text().splitlines()] == ["piece 1", "piece 2", "piece 3"]


def test_a_damaged_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"piece": "a"}\nnonsense\n{}\n')
    with pytest.raises(ValueError, match=r"manifest.jsonl is no manifest of a build .*line 2.*remove"):
        Manifest(tmp_path)


def test_a_mistake_keeps_what_was_finished_before_it(tmp_path):
    with pytest.raises(ValueError, match="three is not"):
        shop(tmp_path).make("making", pieces(tmp_path, [3]), jobs.refuse)
    shop(tmp_path).make("making", pieces(tmp_path, [1]), jobs.write)
    with pytest.raises(ValueError):
        shop(tmp_path).make("more", pieces(tmp_path, [3]), jobs.refuse)
    assert Manifest(tmp_path).done("piece 1", "a1") is not None


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(tmp_path):
    with pytest.raises(ValueError, match=r"no space left for .*Make room and run the same command again"):
        shop(tmp_path).make("making", pieces(tmp_path, [5]), jobs.fill_the_disk)
    assert not list(tmp_path.glob("5.bin*"))
