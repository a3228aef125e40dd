"""The doctor orders by cost, speaks to people and to scripts, and says when there is nothing."""

import json

import pytest
from made_up_runs import lines, write_run
from typer.testing import CliRunner

from skymm.cli import app
from skymm.train.doctor.examine import examine
from skymm.train.doctor.finding import Finding, percent
from skymm.train.doctor.machine import Machine, this_machine

MACHINE = Machine(device="AMD EPYC 9B14, 2 threads")


def test_a_sound_run_has_no_findings(tmp_path):
    found = examine(write_run(tmp_path / "run", lines()), machine=MACHINE)
    assert found.findings == [] and found.num_checks == 15
    assert found.as_text() == f"{tmp_path / 'run'}: nothing found, 15 things looked for"


def test_findings_come_with_the_costliest_first(tmp_path):
    log = lines(data_seconds=0.5, vision_seconds=0.9, loss=float("nan"), skipped={"too long": 40})
    found = examine(write_run(tmp_path / "run", log), machine=MACHINE)
    assert [one.name for one in found.findings] == ["not finite", "vision", "data wait", "skipped"]
    costs = [one.cost for one in found.findings]
    assert costs == sorted(costs, reverse=True)
    text = found.as_text(80)
    assert text.index("1. not finite") < text.index("vision") < text.index("data wait")
    assert all(len(line) <= 80 for line in text.splitlines()[1:])
    told = json.loads(found.as_json())
    assert set(told["findings"][0]) == {"name", "cost", "seen", "why", "do"}


def test_a_recipe_is_examined_with_its_environment_and_overrides(tmp_path):
    path = tmp_path / "stage.toml"
    path.write_text(f'out = "{tmp_path}/run"\nsteps = 500\nbatch_size = 6\n[data.a]\nshards = "{tmp_path}/none"\n')
    found = examine(path, ["learning_rate=0.5"], Machine(processes=4, threads=None, device="CPU, 2 threads"))
    assert {one.name for one in found.findings} == {"does not start", "threads", "learning rate"}
    assert found.findings[0].seen.startswith("no shards found")
    assert found.num_checks == 13


def test_an_environment_alone_is_examined():
    found = examine(machine=Machine(bfloat16=False, device="old"))
    assert found.target == "this environment" and [one.name for one in found.findings] == ["no bfloat16"]


def test_what_is_neither_run_nor_recipe_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"found no log.jsonl in .*, expected the directory of a run"):
        examine(tmp_path, machine=MACHINE)
    with pytest.raises(ValueError, match="no recipe at"):
        examine(tmp_path / "nowhere.toml", machine=MACHINE)
    with pytest.raises(ValueError, match="overrides are for recipes"):
        examine(write_run(tmp_path / "run", lines(3)), ["steps=4"], MACHINE)
    with pytest.raises(ValueError, match="holds no steps yet"):
        examine(write_run(tmp_path / "new", []), machine=MACHINE)


def test_the_command_exits_with_0_unless_strict(tmp_path):
    sound = write_run(tmp_path / "sound", lines())
    ill = write_run(tmp_path / "ill", lines(data_seconds=1.0))
    run = CliRunner().invoke
    assert run(app, ["doctor", str(ill)]).exit_code == 0
    assert run(app, ["doctor", str(ill), "--strict"]).exit_code == 1
    assert run(app, ["doctor", str(sound), "--strict"]).exit_code == 0
    told = json.loads(run(app, ["doctor", str(ill), "--json"]).stdout)
    assert [one["name"] for one in told["findings"]] == ["data wait"] and told["target"] == str(ill)


def test_costs_are_shares():
    assert Finding("a", 7.0, "", "", "").cost == 1.0 and Finding("a", -1.0, "", "", "").cost == 0.0
    assert [percent(share) for share in (0, 0.0013, 0.15, 1)] == ["0 %", "0.13 %", "15 %", "100 %"]


def test_a_machine_is_looked_at_when_none_is_given():
    assert examine().num_checks == 6 and this_machine().versions["torch"]
