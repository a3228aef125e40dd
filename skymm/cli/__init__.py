"""The one door: `skymm quickstart | data | look | train | doctor | eval | ask`.

Everything heavy is imported inside the command that needs it, so help and mistakes are instant.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from skymm.cli.doctor import doctor
from skymm.cli.evaluation import app as eval_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build, judge and show multimodal LLMs that do not make things up, in Chinese and English.",
)
data_app = typer.Typer(no_args_is_help=True, help="Write shards and caches.")
app.add_typer(data_app, name="data")
app.add_typer(eval_app, name="eval")
app.command()(doctor)


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
) -> None:
    """Run a stage, or go on with it where it was stopped."""
    from skymm.recipe import StageRecipe, load

    stage = load(recipe, StageRecipe, overrides or [])
    from skymm.train.loop import train as run

    print(run(stage))


@app.command()
def ask(
    model: Annotated[str, typer.Argument(help="A model directory, such as runs/quickstart/stage2.")],
    image: Annotated[Path, typer.Argument(help="An image file; - asks without one.")],
    question: Annotated[str, typer.Argument(help="In English or Chinese.")],
    max_new_tokens: int = 64,
) -> None:
    """Ask a model one question about an image."""
    data = None
    if str(image) != "-":
        from skymm.data.images import decode_image

        if not image.is_file():
            raise ValueError(f"no image at {image}; give a file, or - to ask without one")
        data = image.read_bytes()
        decode_image(data, str(image))
    from skymm.evaluation.answerers.skymm_model import SkyMMAnswerer

    answerer = SkyMMAnswerer.from_directory(model, max_new_tokens=max_new_tokens)
    print(answerer.answer_one(question, *([data] if data is not None else [])))


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


@data_app.command("build")
def data_build(
    recipe: Annotated[Path, typer.Argument(help="A data recipe, such as data_recipes/quickstart.toml.")],
    out: Annotated[Path, typer.Option(help="Directory for the shards.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as in num_images=500")] = None,
) -> None:
    """Write the shards that a data recipe describes."""
    from skymm.recipe import EmojiScenesRecipe, load

    source = load(recipe, EmojiScenesRecipe, overrides or [])
    from skymm.quickstart import build_data

    print(build_data(source, out))


@data_app.command("features")
def data_features(
    recipe: Annotated[Path, typer.Argument(help="A stage whose recipe says where features lie.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as in features=runs/features")] = None,
    into: Annotated[
        Path | None, typer.Option(help="Write copies of the shards here, with features beside the samples.")
    ] = None,
    drop_images: Annotated[bool, typer.Option("--drop-images", help="With --into: leave the images out.")] = False,
) -> None:
    """Look at every image of a stage's shards once; training then reads the frozen features from disk."""
    from skymm.data.shards import expand
    from skymm.recipe import StageRecipe, load

    stage = load(recipe, StageRecipe, overrides or [])
    if into is None and drop_images:
        raise ValueError("--drop-images is about the copies that --into DIR writes; give that too")
    if into is None and stage.features == "shards":
        raise ValueError('features = "shards" are written beside the samples: say where the new shards go, --into DIR')
    from skymm.progress import progress
    from skymm.train.feature_shards import write_feature_shards
    from skymm.train.features import build_features, images_of
    from skymm.train.parts import model_for

    if into is not None:
        with progress() as bar:
            total = sum(len(expand(source.shards)) for source in stage.data.values())
            task = bar.add_task("looking at every image of a shard", total=total, note="")
            model, options = model_for(stage, None)[0], {"drop_images": drop_images}
            copies = write_feature_shards(stage, model, into, advance=lambda n: bar.advance(task, n), **options)
        for name, directory in copies.items():
            print(f"data.{name}.shards={directory}")
        print("features=shards")
        return
    total = sum(1 for _ in images_of(stage))
    with progress() as bar:
        task = bar.add_task("looking once at every image", total=total, note="")
        cache = build_features(stage, model_for(stage, None)[0], advance=lambda images: bar.advance(task, images))
    print(f"{cache.directory}: {len(cache)} images")


def main() -> None:
    """Console entry. What a user can mend is one sentence and exit code 1, not a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"skymm: {error}", file=sys.stderr)
        raise SystemExit(1) from None
