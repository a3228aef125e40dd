"""Keys and rows: what was appended is found, whatever was killed or lost, and millions of keys cost next to nothing."""

import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.data import key_index
from skymm.data.key_index import KEY_BYTES, KEYS, SORTED, KeyIndex


def hashes(count, seed=0):
    data = np.random.default_rng(seed).bytes(KEY_BYTES * count)
    return [data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES)]


def check(index, keys, absent=()):
    assert len(index) == len(keys)
    assert [index[key] for key in keys] == list(range(len(keys)))
    assert not any(key in index for key in absent)


@pytest.fixture
def few_recent(monkeypatch):
    """Sort in after 50 keys, so that a small test goes the way of a large cache."""
    monkeypatch.setattr(key_index, "RECENT", 50)


def test_every_key_has_its_row_while_growing_and_after_opening(tmp_path, few_recent):
    keys = hashes(700)
    index = KeyIndex(tmp_path)
    for start in range(0, 700, 35):
        index.append(keys[start : start + 35])
        check(index, keys[: start + 35], hashes(50, seed=1))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes == {KEYS: 700 * 16, SORTED: sizes[SORTED]} and 650 * 12 <= sizes[SORTED] <= 700 * 12
    check(KeyIndex(tmp_path), keys, hashes(50, seed=1))
    with pytest.raises(KeyError):
        KeyIndex(tmp_path)[hashes(1, seed=2)[0]]


@settings(max_examples=60, deadline=None)
@given(keys=st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=60), twins=st.booleans())
def test_keys_that_are_no_hashes_are_found_too(tmp_path_factory, keys, twins):
    """All with one beginning, close together or far apart."""
    if twins:
        keys = list(dict.fromkeys(bytes(8) + key[8:] for key in keys))
    directory = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_index, "RECENT", 4)
        KeyIndex(directory).append(keys)
        check(KeyIndex(directory), keys, {bytes(16), b"\xff" * 16, b"z" * 16} - set(keys))


@pytest.mark.parametrize("left", [b"half", bytes(160), bytes(165)])
def test_a_killed_writer_leaves_nothing_that_counts(tmp_path, few_recent, left):
    """Keys behind the last whole row, and an order that was being written."""
    keys = hashes(300)
    KeyIndex(tmp_path).append(keys[:120])
    with (tmp_path / KEYS).open("ab") as file:
        file.write(left)
    (tmp_path / f"{SORTED}.partial").write_bytes(b"cut sh")
    before = (tmp_path / KEYS).read_bytes()
    again = KeyIndex(tmp_path, limit=120)
    check(again, keys[:120], keys[120:])
    assert (tmp_path / KEYS).read_bytes() == before, "whoever only looks changes nothing"
    again.append(keys[120:])
    check(KeyIndex(tmp_path), keys)


def test_rows_that_were_lost_are_given_to_other_keys(tmp_path, few_recent):
    """The order on disk names 200 rows, of which 130 are left: it must not be believed, now or later."""
    keys, others = hashes(200), hashes(200, seed=1)
    KeyIndex(tmp_path).append(keys)
    again = KeyIndex(tmp_path, limit=130)
    check(again, keys[:130], keys[130:])
    for start in range(0, 200, 10):
        again.append(others[start : start + 10])
    check(KeyIndex(tmp_path), keys[:130] + others, keys[130:])


@pytest.mark.parametrize("damage", ["missing", "older"])
def test_the_order_is_only_a_help(tmp_path, few_recent, damage):
    keys = hashes(400)
    index = KeyIndex(tmp_path)
    index.append(keys[:100])
    older = (tmp_path / SORTED).read_bytes()
    index.append(keys[100:])
    (tmp_path / SORTED).unlink()
    if damage == "older":
        (tmp_path / SORTED).write_bytes(older)
    check(KeyIndex(tmp_path), keys)


def test_a_writer_killed_at_any_moment(tmp_path):
    """A real kill, several times over: every key that has a row has the row that it was given."""
    code = (
        "import os, sys; from skymm.data import key_index; key_index.RECENT = 40\n"
        "from skymm.data.key_index import KeyIndex\n"
        "index = KeyIndex(sys.argv[1])\n"
        "while True:\n"
        "    start = len(index)\n"
        "    index.append([row.to_bytes(16, 'little') for row in range(start, start + 7)])\n"
        "    print(len(index), flush=True)"
    )
    for lines in (3, 20, 41):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        told = [int(process.stdout.readline()) for _ in range(lines)][-1]
        process.kill()
        process.wait()
        process.stdout.close()
        index = KeyIndex(tmp_path)
        assert len(index) >= told and all(index[row.to_bytes(16, "little")] == row for row in range(len(index)))


def test_a_process_that_gets_a_copy_opens_the_files(tmp_path, few_recent):
    keys = hashes(500)
    index = KeyIndex(tmp_path)
    index.append(keys)
    sent = pickle.dumps(index)
    assert len(sent) < 1000
    check(pickle.loads(sent), keys)


def test_opening_costs_the_same_for_many_keys(tmp_path):
    """400 thousand keys in a dict are 55 MB; opened, they are a few kilobytes, and so is looking them up."""
    keys = hashes(400_000)
    KeyIndex(tmp_path).append(keys)
    tracemalloc.start()
    index = KeyIndex(tmp_path)
    assert index[keys[12345]] == 12345 and index[keys[-1]] == 399_999 and os.urandom(16) not in index
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
