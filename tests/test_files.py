"""Files are whole or not there, and journals survive a kill at any byte."""

import json

import pytest

from skymm.files import Journal, read_journal, whole_file


def test_a_whole_file_or_none(tmp_path):
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_journal_cut_at_any_byte_goes_on_where_it_was_whole(tmp_path):
    path = tmp_path / "new" / "journal.jsonl"
    Journal(path).add({"a": "猫"}, {"b": "half a character \ud83d"})
    whole = path.read_bytes()
    entries = [{"a": "猫"}, {"b": "half a character \ud83d"}]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = [entry for entry, end in zip(entries, (len('{"a": "猫"}'.encode()), len(whole) - 1)) if end <= size]
        assert read_journal(path) == kept, size
        journal = Journal(path)
        assert journal.entries == kept, size
        journal.add({"c": 3})
        journal.add({"d": 4})
        assert read_journal(path) == [*kept, {"c": 3}, {"d": 4}], size
        assert len(path.read_text("utf-8").splitlines()) == len(kept) + 2, size


def test_other_damage_is_named_and_a_journal_can_be_written_anew(tmp_path):
    path = tmp_path / "journal.jsonl"
    assert read_journal(path) == [] == Journal(path).entries and not path.exists()
    path.write_bytes(b'{"a": 1}\nnonsense\n\n{"b": 2}\n\n')
    for read in (read_journal, Journal):
        with pytest.raises(ValueError, match=r"journal.jsonl, line 2: not JSON"):
            read(path)
    path.write_bytes(b'{"a": 1}\n\n{"b": 2}\n\n')
    journal = Journal(path)
    assert journal.entries == [{"a": 1}, {"b": 2}]
    journal.rewrite(journal.entries[1:])
    assert json.loads(path.read_text()) == {"b": 2}
