"""A store of translations that outlives kills, is shared by processes, and says what to do when it is damaged."""

import pickle
import sqlite3
import subprocess
import sys

import pytest

from skymm.curation.translation.cache import TranslationCache, key_of


def keys(*texts):
    return [key_of("model 1", "en", "zh", text) for text in texts]


def test_what_was_stored_is_there_next_time(tmp_path):
    path = tmp_path / "deep" / "cache.sqlite"
    one, two, three = keys("one", "two", "three")
    cache = TranslationCache(path)
    assert cache.look_up([one]) == {}
    cache.store({one: "一", two: ""})
    cache.store({one: "壹"})
    cache.close()
    again = TranslationCache(path)
    assert again.look_up([one, two, three, one]) == {one: "一", two: ""}, "the first one stays"
    many = {key: str(index) for index, key in enumerate(keys(*map(str, range(1200))))}
    again.store(many)
    assert again.look_up(many) == many
    again.close()


def test_everything_an_answer_depends_on_is_in_the_key():
    base = ("model 1", "en", "zh", "text")
    others = [("model 2", "en", "zh", "text"), ("model 1", "zh", "en", "text"), ("model 1", "en", "zh", "text ")]
    others += [("model 1e", "n", "zh", "text"), ("model 1", "en", "zh", "\ud83d")]
    assert len({key_of(*parts) for parts in [base, *others]}) == 6
    assert key_of(*base) == key_of(*base)


def test_several_processes_share_it(tmp_path):
    path = tmp_path / "cache.sqlite"
    code = """
import sys
from skymm.curation.translation.cache import TranslationCache, key_of
cache, name = TranslationCache(sys.argv[1]), sys.argv[2]
for start in range(0, 200, 4):
    batch = {key_of("m", "en", "zh", str(n)): f"{n} by {name}" for n in range(start, start + 4)}
    cache.store(batch)
    assert set(cache.look_up(batch)) == set(batch)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    wanted = {key_of("m", "en", "zh", str(n)): n for n in range(200)}
    found = TranslationCache(path).look_up(wanted)
    assert {wanted[key] for key in found} == set(range(200))
    assert all(text.startswith(f"{wanted[key]} by ") for key, text in found.items())


def test_another_process_gets_a_copy_that_opens_the_file_itself(tmp_path):
    cache = TranslationCache(tmp_path / "cache.sqlite")
    one, two = keys("one", "two")
    cache.store({one: "一"})
    copy = pickle.loads(pickle.dumps(cache))
    copy.store({two: "二"})
    assert cache.look_up([one, two]) == copy.look_up([one, two]) == {one: "一", two: "二"}


def damaged_middle(path):
    cache = TranslationCache(path)
    cache.store(dict.fromkeys(keys(*map(str, range(2000))), "text" * 100))
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096:-4096] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)


def of_something_else(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"<html>not found</html>" * 100), damaged_middle, of_something_else]
)
def test_a_damaged_or_foreign_file_says_what_to_do(tmp_path, spoil):
    path = tmp_path / "cache.sqlite"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"cache\.sqlite: found .*move the file away"):
        TranslationCache(path).look_up(keys(*map(str, range(2000))))
    assert path.read_bytes()[:4096] == before[:4096], "it is left for its owner to look at"


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="choose another `cache`"):
        TranslationCache(tmp_path / "file" / "cache.sqlite").look_up(keys("a"))
    with pytest.raises(ValueError, match="cannot be stored there"):
        TranslationCache(tmp_path).look_up(keys("a"))
