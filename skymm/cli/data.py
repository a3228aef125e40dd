"""`skymm data build | features | prefer | audit | blind-pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; without it: as many as processors. The result is the same.")
]
app = typer.Typer(no_args_is_help=True, help="Write shards and caches, and look what is in them.")


@app.command("build")
def data_build(
    recipe: Annotated[Path, typer.Argument(help="A data recipe, such as data_recipes/stage2_posneg.toml.")],
    out: Annotated[Path, typer.Option(help="Directory for the shards; a build that was stopped goes on there.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, as in num_samples=500 or sources.coco.limit=100")
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes of this machine, or ray (a cluster: RAY_ADDRESS).")
    ] = "local",
    workers: Workers = None,
) -> None:
    """Write the shards that a data recipe describes."""
    from skymm.recipe import EmojiScenesRecipe, load_data

    described = load_data(recipe, overrides or [])
    worker_engine = _engine(engine, workers)
    if isinstance(described, EmojiScenesRecipe):
        from skymm.curation.emoji_scenes.dataset import build as build_scenes

        print(build_scenes(described, out, worker_engine))
        _print_build(out / "stage2")
        return
    from skymm.curation.building.build import build, finished

    leakage = None
    if described.filters.leakage and not finished(out):
        from skymm.evaluation.run import write_leakage_index

        leakage = write_leakage_index(described.filters.leakage, out / ".build" / "leakage.npz")
    print(build(described, out, worker_engine, leakage))
    _print_build(out)


def _print_build(directory: Path) -> None:
    import json

    from skymm.curation.audit.findings import print_build
    from skymm.data.shards import CARD
    from skymm.progress import CONSOLE

    print_build(json.loads((directory / CARD).read_text("utf-8")), CONSOLE)


def _engine(name: str, workers: int | None) -> Any:
    import os

    if name == "ray":
        from skymm.curation.building.workers import Ray

        return Ray(workers)
    from skymm.curation.building.workers import Local

    return Local(workers or os.cpu_count() or 1)


@app.command("features")
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
    from skymm.train.features import build_features, write_feature_shards
    from skymm.train.parts import model_for

    total = sum(len(expand(source.shards, remote=True)) for source in stage.data.values())
    with progress() as bar:
        task = bar.add_task("looking once at every image of a shard", total=total, note="")
        model = model_for(stage, None)[0]
        if into is None:
            cache = build_features(stage, model, advance=lambda shards: bar.advance(task, shards))
            copies = {}
        else:
            copies = write_feature_shards(
                stage, model, into, drop_images=drop_images, advance=lambda shards: bar.advance(task, shards)
            )
    for name, directory in copies.items():
        print(f"data.{name}.shards={directory}")
    print("features=shards" if copies else f"{cache.directory}: {len(cache)} images")


@app.command("prefer")
def data_prefer(
    shards: Annotated[list[str], typer.Argument(help="Shard files, a directory or a pattern.")],
    out: Annotated[Path, typer.Option(help="Directory for the new shards; a run that was stopped goes on there.")],
    way: Annotated[
        list[str],
        typer.Option(help="How pairs are made: weakened, injected, rule or on_policy; may be given again."),
    ],
    model: Annotated[
        str | None, typer.Option(help="The policy: a directory, hf:ID or openai:URL#MODEL; rule needs none.")
    ] = None,
    writer: Annotated[
        str | None, typer.Option(help="Who puts errors in, as --model; without it: the policy's own base LLM.")
    ] = None,
    step: Annotated[int, typer.Option(min=0, max=999, help="weakened: of the noise; the more the less is seen.")] = 900,
    answers: Annotated[int, typer.Option(min=2, help="on_policy: how many are sampled for each question.")] = 5,
    temperature: Annotated[float, typer.Option(min=0.01, help="on_policy: of the sampling.")] = 1.0,
    describe: Annotated[
        bool, typer.Option("--describe", help="on_policy: ask for descriptions, not the samples' last questions.")
    ] = False,
    sentences: Annotated[
        bool, typer.Option("--sentences", help="on_policy: sentence by sentence, each after the true ones before it.")
    ] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of an answer; longer ones are left out.")] = 128,
    seed: int = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples that are asked about together.")] = 8,
    max_ratio: Annotated[
        float, typer.Option(min=1, help="Leave out pairs one side of which has more than so many times the words.")
    ] = 2.0,
    balance_lengths: Annotated[
        bool, typer.Option("--balance-lengths", help="Leave out pairs until neither side is the longer more often.")
    ] = False,
    samples_per_shard: Annotated[int, typer.Option(min=1)] = 1000,
) -> None:
    """Make preference pairs of shards: the chosen answer in its place, and a rejected one beside it."""
    from skymm.data.shards import expand
    from skymm.progress import CONSOLE, progress

    if model is None and set(way) - {"rule"}:
        raise ValueError(f"found --way {way[0]} without --model, expected the model that answers; only rule needs none")
    paths = expand(shards)
    from skymm.answering.opening import open_answerer
    from skymm.train.pairs.audit import print_audit
    from skymm.train.pairs.make import prefer
    from skymm.train.pairs.ways import Making

    asked = (step, answers, temperature, describe, sentences, max_new_tokens, seed, batch_size)
    making = Making(tuple(dict.fromkeys(way)), *asked)
    answerers = [open_answerer(one, max_new_tokens=max_new_tokens) if one else None for one in (model, writer)]
    limits = {"max_ratio": max_ratio, "balance_lengths": balance_lengths, "samples_per_shard": samples_per_shard}
    with progress() as bar:
        task = bar.add_task("making pairs", total=None, note="")
        told = {"begin": lambda n: bar.update(task, total=n), "advance": lambda n: bar.advance(task, n)}
        prefer(paths, out, making, *answerers, **limits, **told, told=lambda audit: print_audit(audit, CONSOLE))
    print(out)


@app.command("audit")
def data_audit(
    shards: Annotated[list[str], typer.Argument(help="Shard files, a directory or a pattern.")],
    out: Annotated[
        Path | None, typer.Option(help="The page; without it: audit.html in the directory that all shards share.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    workers: Workers = None,
    samples: Annotated[int, typer.Option(min=0, help="How many samples the page shows.")] = 24,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of the page and the table.")] = "en",
    decode: Annotated[
        bool, typer.Option("--decode", help="Read all pixels, not only headers: finds all damage.")
    ] = False,
    leakage: Annotated[
        list[str] | None,
        typer.Option(help="A benchmark that may not be in it, as in 'eval/mme.toml root=DIR'; may be given again."),
    ] = None,
) -> None:
    """Tell what is in shards and what should worry you, on the terminal and as a page with pictures."""
    import json
    import tempfile

    from skymm.curation.audit.page import audit_shards
    from skymm.data.shards import expand
    from skymm.page.terminal import print_page
    from skymm.progress import progress

    paths = expand(shards)
    with tempfile.TemporaryDirectory() as directory, progress() as bar:
        task = bar.add_task("reading shards", total=len(paths), note="")
        index = None
        if leakage:
            from skymm.evaluation.run import write_leakage_index

            index = str(write_leakage_index(leakage, Path(directory) / "leakage.npz"))
        told = {"workers": workers, "advance": lambda n: bar.advance(task, n)}
        audited = audit_shards(paths, out, language=language, num_shown=samples, decode=decode, leakage=index, **told)
    if as_json:
        print(json.dumps(audited.to_json(), ensure_ascii=False, indent=2))
        return
    print_page(audited.page)
    print(audited.path)


@app.command("blind-pairs")
def data_blind_pairs(
    folder: Annotated[Path, typer.Argument(help="Photos, at any depth.")],
    out: Annotated[Path, typer.Option(help="Directory for the page, the pictures and the sheet of questions.")],
    towers: Annotated[
        tuple[str, str], typer.Option(help="The one that takes two pictures for the same, and the one that does not.")
    ] = ("efficientnet-lite0", "efficientnet-lite2"),
    above: Annotated[float | None, typer.Option(help="How alike the first finds them (0.95; by share 0.999).")] = None,
    below: Annotated[float | None, typer.Option(help="How alike the second does at most (0.6; by share 0.99).")] = None,
    by_share: Annotated[
        bool, typer.Option("--by-share", help="Both are shares of all pairs (0.999: one in a thousand), not cosines.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="Pairs at most, the widest gaps first.")] = 150,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of the page.")] = "en",
) -> None:
    """Find pictures that one tower takes for the same and another does not, for an MMVP of your own (arXiv 2401.06209)."""
    from skymm.evaluation.kits import blind_pairs
    from skymm.progress import progress

    custom = blind_pairs.BY_SHARE if by_share else blind_pairs.COSINES
    above, below = custom[0] if above is None else above, custom[1] if below is None else below
    wanted = blind_pairs.Wanted(towers, above, below, by_share, most)
    with progress() as bar:
        task = bar.add_task("looking at photos", total=len(blind_pairs.photos_in(folder)), note="")
        found = blind_pairs.build(folder, out, wanted, language=language, advance=lambda n: bar.advance(task, n))
    print(found)
