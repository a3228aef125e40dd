"""A model as a directory that can be uploaded to a hub: all that it needs, the code that opens it, and a card about it.

The card says what was recorded while the model was made (run cards, cards of shards) and measured of it (predictions). What
is not known is said to be not known.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skymm.answering.local import fingerprint
from skymm.data.shards import CARD, expand
from skymm.evaluation.benchmark import coverage_line, value_of
from skymm.evaluation.predictions import Predictions, read_predictions
from skymm.evaluation.run import score_of
from skymm.files import whole_directory
from skymm.model.build import open_model
from skymm.model.export import export_whole
from skymm.train.runlog import CARD as RUN
from skymm.train.runlog import read_object

_UNKNOWN = "not known"
_USE = """```python
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("{name}", trust_remote_code=True)  # the files in code/: read them
processor = AutoProcessor.from_pretrained("{name}", trust_remote_code=True)
inputs = processor(images=Image.open("picture.jpg"), text="What is in the picture?")
answer = model.generate(**inputs, max_new_tokens=64)[:, inputs["input_ids"].shape[1] :]
print(processor.batch_decode(answer, skip_special_tokens=True)[0])
```

This needs torch, transformers and pillow. `pipeline("image-text-to-text", model="{name}", trust_remote_code=True)` works too,
and where transformers has it `pipeline("decision", ...)`. With skymm installed, `skymm ask` and `skymm eval run` take the
directory, and `import skymm` makes `trust_remote_code` needless."""


def export_hub(
    model: str | Path, out: Path, *, scores: Sequence[Path] = (), licence: str | None = None, limits: Sequence[str] = ()
) -> Path:
    """Write OUT: the model whole (`export_whole`), and README.md with the header that hubs read.

    Args:
        scores: predictions of `skymm eval run`; their scores are recomputed. licence: of the weights, as hubs name it
            ("apache-2.0"). limits: sentences for the card, beside those that follow from how the model is made.

    Raises ValueError where OUT is there already, and for predictions of another model.
    """
    runs = [read_predictions(path) for path in scores]
    opened, processor = open_model(model)
    config, weights = opened.config.to_dict(), fingerprint(opened)
    for run in runs:
        if run.weights not in (weights, None):  # an endpoint does not say which weights it has
            raise ValueError(f"{run.path}: its answers are of {run.model} with other weights than {model} has now")
    stages = list(_stages(Path(model)))
    # Where things lie on this machine is nobody's business.
    options = {"--scores": [path.name for path in map(Path, scores)], "--licence": [licence] if licence else []}
    options |= {"--limit": list(limits)}
    command = ["skymm", "export", Path(model).name, "--hub", "--out", Path(out).name]
    command += [word for option, values in options.items() for value in values for word in (option, value)]
    with whole_directory(Path(out)) as partial:
        export_whole(opened, processor, partial)
        card = _card(Path(out).name, config, stages, runs, licence, limits, shlex.join(command))
        (partial / "README.md").write_text(card, "utf-8")
    return Path(out)


def _stages(model: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and run card of this model and of those that it was trained on from, the first one first; a card is empty where
    there is none.
    """
    card = read_object(model / RUN)
    init = card.get("recipe", {}).get("init")
    if init:
        # As the recipe names it, or beside this one where the runs were moved together.
        yield from _stages(
            next((path for path in (Path(init), model.parent / Path(init).name) if path.is_dir()), Path(init))
        )
    yield model.name, card


def _card(
    name: str,
    config: Mapping[str, Any],
    stages: Sequence[tuple[str, Mapping[str, Any]]],
    runs: Sequence[Predictions],
    licence: str | None,
    limits: Sequence[str],
    command: str,
) -> str:
    data = [row for stage, card in stages for row in _data_rows(stage, card)]
    scores = [row for run in runs for row in _score_rows(run)]
    languages = sorted({language for row in data for language in row["languages"]}) or ["en", "zh"]
    names = [config["llm"], *(tower["name"] for tower in config["towers"])]
    header = {
        "license": licence or "other",
        "language": languages,
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["skymm", "multimodal", "hallucination"],
        "base_model": [one for one in names if one.count("/") == 1 and not one.startswith((".", "/", "~"))],
        "model-index": [{"name": name, "results": [_result(row) for row in scores]}] if scores else [],
    }
    towers = ", ".join(f"{tower['name']} ({tower['image_size']} pixels)" for tower in config["towers"])
    adapter = f", LoRA of rank {config['lora']['rank']} (merged)" if config["lora"] else ""
    learned = [
        (row["stage"], row["steps"], row["data"], row["samples"], row["negative"], row["licences"]) for row in data
    ]
    measured = [(row["benchmark"], row["label"], row["shown"], row["strict"], row["answered"]) for row in scores]
    sections = {
        "": f"# {name}\n\nAnswers questions about pictures. Frozen LLM {config['llm']}{adapter}, frozen vision encoder "
        f"{towers}, a perceiver resampler of {config['resampler']['num_latents']} latents per picture. All of it is in this "
        "directory.",
        "Use": _USE.format(name=name),
        "Data and licences": _table(
            ("stage", "steps x batch", "data", "samples", "negative answers", "licences"), learned
        )
        + f"\n\nLicence of the weights: {licence or _UNKNOWN}. Those of the LLM and the vision encoder hold besides.",
        "Scores": _table(("benchmark", "metric", "official", "read strictly", "answered"), measured)
        if scores
        else "None were given: nothing is known of how often it is wrong, or says what is not there.",
        "Limits": "\n".join(f"- {limit}" for limit in (*_limits(config, languages, data), *limits)),
        "How it was made": f"`{command}`, skymm {version('skymm')}.\n\n" + "\n".join(_made(*stage) for stage in stages),
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items() if value]
    body = (f"## {title}\n\n{text}" if title else text for title, text in sections.items())
    return "\n".join(("---", *lines, "---", "", "\n\n".join(body), ""))


def _data_rows(stage: str, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    recipe, rows = card.get("recipe", {}), []
    for name, one in recipe.get("data", {}).items():
        found = [read_object(folder / CARD) for folder in _folders(one["shards"])]
        answers = sum(sum(shards.get("polarities", {}).values()) for shards in found)
        negative = sum(shards.get("polarities", {}).get("negative", 0) for shards in found)
        rows.append(
            {
                "stage": stage,
                "steps": f"{recipe['steps']} x {recipe['batch_size']}"
                if recipe["steps"]
                else f"{recipe['epochs']} epochs",
                "data": name,
                "samples": sum(shards.get("num_samples", 0) for shards in found) or _UNKNOWN,
                "negative": f"{negative / answers:.0%}" if answers else _UNKNOWN,
                "languages": {language for shards in found for language in shards.get("languages", {})} & {"en", "zh"},
                "licences": "; ".join(dict.fromkeys(text for shards in found for text in _licences(shards)))
                or _UNKNOWN,
            }
        )
    unknown = dict.fromkeys(("steps", "data", "samples", "negative", "licences"), _UNKNOWN)
    return rows or [{"stage": stage, **unknown, "languages": set()}]


def _folders(shards: Any) -> list[Path]:
    try:
        return sorted({path.parent for path in expand(shards)})
    except ValueError:  # they have been moved, or are no files of this machine
        return []


def _licences(card: Mapping[str, Any]) -> Iterator[str]:
    """What the card of a directory of shards says, of all or by source."""
    for found in (card.get("licences"), card.get("licence"), card.get("license")):
        yield from found.values() if isinstance(found, Mapping) else [found] if isinstance(found, str) else []
    by_licence: dict[str, list[str]] = {}
    for name, source in card.get("sources", {}).items():
        by_licence.setdefault(source.get("licence") or _UNKNOWN, []).append(name)
    for licence, names in by_licence.items():
        yield f"{licence} ({', '.join(names)})"


def _score_rows(run: Predictions) -> list[dict[str, Any]]:
    scores = score_of(run)
    # Questions of one's own in a benchmark's form are not that benchmark, and a part of it is not the whole.
    release = sum(run.definition.sizes.values())
    asked = f"{run.num_questions} questions" + (f", the release has {release}" if release else "")
    parts = [*Path(run.recipe.root).parts[-2:], *([run.recipe.split] if run.recipe.split else [])]
    title = f"{run.definition.title} ({'/'.join(parts)}: {asked})"
    rows = []
    for metric in run.definition.metrics:
        values = [value_of(part, metric.key) for part in (scores, scores.get("strict", {}))]
        shown = [
            "-" if not isinstance(one, int | float) else f"{one:.2f}" if metric.unit == "points" else f"{one:.1%}"
            for one in values
        ]
        row = {"benchmark": title, "name": run.benchmark, "label": metric.label, "value": values[0]}
        rows.append(row | {"shown": shown[0], "strict": shown[1], "answered": coverage_line(scores) or "all"})
    return rows


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    """As hubs read it."""
    metric = {"type": row["label"], "name": row["label"], "value": row["value"]}
    return {
        "task": {"type": "image-text-to-text"},
        "dataset": {"name": row["benchmark"], "type": row["name"]},
        "metrics": [metric],
    }


def _limits(config: Mapping[str, Any], languages: Sequence[str], data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    side, latents = max(tower["image_size"] for tower in config["towers"]), config["resampler"]["num_latents"]
    yield "It may say what is not there, and be sure of it; the scores say how often, on those pictures."
    yield f"Pictures are squashed to {side} x {side} pixels and read as {latents} positions: small print is lost."
    yield f"It was taught in {' and '.join({'en': 'English', 'zh': 'Chinese'}[one] for one in languages)} only."
    if any(row["negative"] in (_UNKNOWN, "0%") for row in data[-1:]):
        yield "Its last stage had no answers that deny, or nobody knows: expect it to say yes too often."
    yield "Code in `code/` runs when it is opened with `trust_remote_code=True`."


def _made(stage: str, card: Mapping[str, Any]) -> str:
    if not card:
        return f"- {stage}: {_UNKNOWN}, there is no run card."
    versions = ", ".join(f"{name} {number}" for name, number in card["versions"].items())
    device, dtype = (card.get(name, _UNKNOWN) for name in ("device", "dtype"))
    return f"- {stage}: `skymm train` on {device} in {dtype}, seed {card['recipe'].get('seed')}; {versions}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
