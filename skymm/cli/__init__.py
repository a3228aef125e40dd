"""The one door: `skymm quickstart | data | look | train | study | keys | doctor | eval | ask | demo | export`.

Everything heavy is imported inside the command that needs it, so help and mistakes are instant.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from skymm.cli.data import app as data_app
from skymm.cli.evaluation import ContrastOption, GateOption, StrengthOption, contrast_keys
from skymm.cli.evaluation import app as eval_app
from skymm.cli.serving import serve
from skymm.progress import say
from skymm.shipped import SHIPPED

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build, judge and show multimodal LLMs that do not make things up, in Chinese and English.",
)
app.add_typer(data_app, name="data")
app.add_typer(eval_app, name="eval")
app.command()(serve)


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Where everything goes; a second run reuses what is there.")] = Path(
        "runs/quickstart"
    ),
    minutes: Annotated[float, typer.Option(min=1, help="Time for the whole story, downloads aside.")] = 10,
) -> None:
    """Watch a frozen vision encoder and a frozen LLM learn to look: shards, three trainings, a benchmark, a table."""
    from skymm.quickstart import quickstart as story

    story(out, minutes=minutes)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A stage, such as training/stage1.toml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, as in steps=10 or model.lora.rank=8")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Do everything up to the first step, and leave nothing behind.")
    ] = False,
) -> None:
    """Run a stage, or go on with it where it was stopped."""
    from skymm.recipe import StageRecipe, load

    stage = load(recipe, StageRecipe, overrides or [])
    from skymm.train import loop

    print(f"{loop.check(stage)}; it can start" if check else loop.train(stage))


@app.command()
def study(
    recipe: Annotated[Path, typer.Argument(help="What is compared, such as eval/remedies.toml.")],
    out: Annotated[Path, typer.Option(help="Models, answers, table and page; a second run goes on.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as in seeds=[0]")] = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Language of the page.")] = "en",
    report: Annotated[bool, typer.Option("--report", help="Only table and page, of the answers in OUT.")] = False,
) -> None:
    """Train several arms with several seeds, ask them the same, and say which differences are more than chance."""
    from skymm import study as module
    from skymm.recipe import load
    from skymm.recipe.study import StudyRecipe

    print((module.report if report else module.study)(load(recipe, StudyRecipe, overrides or []), out, language))


@app.command("keys")
def recipe_keys(
    kind: Annotated[
        Literal["stage", "data", "scenes", "eval", "study", "suite"],
        typer.Argument(
            help="Of a stage of training, of shards, of drawn scenes, of a benchmark, of a study or a suite."
        ),
    ],
    word: Annotated[str | None, typer.Argument(help="Only keys with this in name, values or meaning.")] = None,
) -> None:
    """List what may stand in a recipe: each key with its type, its default and what it means."""
    import textwrap

    from skymm.recipe.keys import KINDS, keys

    for path, values, meaning in keys(KINDS[kind]):
        if word is None or word.lower() in f"{path} {values} {meaning}".lower():
            print(f"{path}: {values}")
            if meaning:
                print(textwrap.fill(meaning, 100, initial_indent="    ", subsequent_indent="    "))


@app.command()
def doctor(
    target: Annotated[
        Path | None, typer.Argument(help="A run's directory or a stage's recipe; none: the environment alone.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, for a recipe.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 where anything is found.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what slows or endangers a run: what was seen, why it costs, what to do; the costliest first."""
    from skymm.train.doctor.examine import examine

    found = examine(target, overrides or [])
    print(found.as_json() if as_json else found.as_text())
    if strict and found.findings:
        raise typer.Exit(1)


@app.command()
def ask(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] IMAGE... QUESTION",
            help="MODEL: a directory (ours or any transformers model), hf:ID, or openai:URL#MODEL; without one the model that "
            "comes with skymm. IMAGE: images and clips, as they are shown; - asks without one. QUESTION: English or Chinese.",
        ),
    ],
    max_new_tokens: int = 64,
    num_frames: Annotated[int, typer.Option(min=1, help="Of a clip, at most.")] = 8,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second of a clip; without it they are spread evenly.")
    ] = None,
    contrast: ContrastOption = None,
    strength: StrengthOption = None,
    gate: GateOption = None,
) -> None:
    """Ask a model one question about an image, several, or a clip.

    The answer goes to stdout. To a question of yes or no about an image stderr says how likely yes is (not where the model is
    asked over the network).
    """
    *named, question = words
    model = named.pop(0) if len(named) > 1 and named[0] != "-" and not Path(named[0]).is_file() else SHIPPED
    if not named:
        raise ValueError(f"found {question!r} alone, expected an image and a question, or - to ask without one")
    shown = [] if named == ["-"] else [*map(Path, named)]
    for file in shown:
        if not file.is_file():
            raise ValueError(f"no image at {file}; give files, or - to ask without one; the question comes last")
    from skymm.recipe import ContrastRecipe, parse

    chosen = contrast_keys(contrast, strength, gate)
    taken_off = parse(chosen, ContrastRecipe, "--contrast") if chosen else None
    from skymm.answering.protocol import YES_OR_NO, Ask, is_yes_no

    asked = Ask.about(question, shown, num_frames=num_frames, fps=fps)
    from skymm.answering.opening import open_answerer

    answerer = open_answerer(model, max_new_tokens=max_new_tokens)
    if taken_off is not None and not hasattr(answerer, "contrast"):
        raise ValueError(f"{model} is asked over the network, which has no --contrast; give a directory or hf:ID")
    if taken_off is not None:
        answerer.contrast = taken_off
    compared = replace(asked, choices=YES_OR_NO)
    if contrast == "calibrated":  # which is of yes and no
        print(next(answerer.answer([compared], "logits"))[1].text)
        return
    for piece in answerer.stream(asked):
        print(piece, end="", flush=True)
    print()
    if asked.images and is_yes_no(question) and hasattr(answerer, "contrast"):
        say(f"yes: {next(answerer.answer([compared], 'logits'))[1].probability_of_yes:.0%}")


@app.command()
def demo(
    model: Annotated[str, typer.Argument(help="A directory (ours or any transformers model), or hf:ID.")] = SHIPPED,
    other: Annotated[str | None, typer.Argument(help="A second one, shown beside it.")] = None,
    host: Annotated[str, typer.Option(help="Whom it listens to; 0.0.0.0: everybody.")] = "127.0.0.1",
    port: int = 7860,
    max_new_tokens: int = 128,
) -> None:
    """A page to ask one model or two about pictures, in Chinese and English."""
    if find_spec("gradio") is None:
        raise ValueError("the demo needs gradio, which is not installed: pip install 'skymm[demo]'")
    from skymm.serve.demo import launch, open_models

    launch(open_models([model, *([other] if other else [])], max_new_tokens), host=host, port=port)


@app.command()
def relocate(
    model: Annotated[Path, typer.Argument(help="A model directory, or a run with models in it.")],
    llm: Annotated[str | None, typer.Option(help="Where the LLM lies now.")] = None,
    tower: Annotated[
        list[str] | None, typer.Option(help="Where the towers lie now, one option each, in order.")
    ] = None,
) -> None:
    """Write down where the frozen parts of a model were moved to; other weights are refused."""
    from skymm.model.checkpoint import relocate as run

    for directory in run(model, llm=llm, towers=tower or None):
        print(directory)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A model directory, such as runs/stage2.")],
    out: Annotated[Path, typer.Option(help="A new directory.")],
    adapter: Annotated[
        bool, typer.Option("--adapter/--merge", help="The adapter alone, as peft has it; or all, the adapter merged.")
    ] = False,
    hub: Annotated[
        bool, typer.Option("--hub", help="Merged, with towers, a card, and code that opens it where skymm is not.")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="As it is, what was trained in bfloat16: half the size.")
    ] = False,
    scores: Annotated[list[Path] | None, typer.Option(help="For the card: predictions of `skymm eval run`.")] = None,
    licence: Annotated[str | None, typer.Option(help="For the card: of the weights, such as apache-2.0.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="For the card: a sentence about what it cannot do.")] = None,
) -> None:
    """Write a model for others: with its own LLM and no adapter, in half the size, the adapter alone, or ready for a hub."""
    if adapter + hub + half > 1:
        raise ValueError(
            "--adapter is the adapter alone, --half adapter and resampler, --hub a whole model; give one of them"
        )
    if not hub and (scores or licence or limit):
        raise ValueError("--scores, --licence and --limit are for the card, which --hub writes")
    if hub:
        from skymm.hub import export_hub

        print(export_hub(model, out, scores=scores or [], licence=licence, limits=limit or []))
        return
    from skymm.model.export import export_adapter, export_half, export_merged

    print((export_adapter if adapter else export_half if half else export_merged)(model, out))


@app.command()
def look(
    shards: Annotated[list[str], typer.Argument(help="Shard files, a directory or a pattern.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many samples to show.")] = 3,
    key: Annotated[str | None, typer.Option(help="Show only the sample with this key.")] = None,
    llm: Annotated[str | None, typer.Option(help="Also show the tokens that this LLM would read.")] = None,
) -> None:
    """Show samples of shards; what the model learns to say is coloured."""
    from skymm.show import show

    show(shards, count=count, key=key, llm=llm)


def main() -> None:
    """Console entry. What a user can mend is one sentence and exit code 1, not a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"skymm: {error}", file=sys.stderr)
        raise SystemExit(1) from None
