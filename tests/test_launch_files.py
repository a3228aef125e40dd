"""What accelerate is told about GPUs and machines is what it understands, and what the lines of docs/training.md need."""

import re
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import ClusterConfig
from accelerate.commands.launch import launch_command_parser

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "training").glob("*.yaml"))


def lines():
    text = (ROOT / "docs/training.md").read_text("utf-8").replace("\\\n", " ")
    return re.findall(r"^accelerate launch (.*?)(?:\s+#.*)?$", text, re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_accelerate_knows_every_key(path):
    config = ClusterConfig.from_yaml_file(path)  # refuses unknown keys
    assert config.num_processes == 8 * config.num_machines and config.mixed_precision == "no"


def test_fsdp_is_version_2():
    assert ClusterConfig.from_yaml_file(ROOT / "training/fsdp2.yaml").fsdp_config["fsdp_version"] == 2


def test_every_line_of_the_readme_is_one_that_the_launcher_takes():
    assert len(lines()) == 3
    for line in lines():
        arguments = launch_command_parser().parse_args(line.split())
        assert (ROOT / arguments.config_file).is_file()
        assert arguments.module and arguments.training_script == "skymm.cli"
        assert arguments.training_script_args[:2] == ["train", "training/stage2.toml"]
        batch = int(arguments.training_script_args[2].removeprefix("batch_size="))
        assert batch % ClusterConfig.from_yaml_file(ROOT / arguments.config_file).num_processes == 0
