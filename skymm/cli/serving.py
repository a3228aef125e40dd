"""`skymm serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skymm.cli.evaluation import ContrastOption, GateOption, StrengthOption, contrast_keys
from skymm.shipped import SHIPPED


def serve(
    model: Annotated[str, typer.Argument(help="A directory (ours or any transformers model), or hf:ID.")] = SHIPPED,
    host: Annotated[str, typer.Option(help="0.0.0.0 for the whole network; then set a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model; its directory's name if not said.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="SKYMM_API_KEY", help="Clients have to send it; better in the environment.")
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Answers that are written at once.")] = 16,
    max_waiting: Annotated[int, typer.Option(min=1, help="Questions that may wait; more are sent away (429).")] = 64,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of an answer, whatever is asked for.")] = 1024,
    max_images: Annotated[int, typer.Option(min=0, help="In one request.")] = 64,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Of all images of one request.")] = 32,
    max_megabytes: Annotated[float, typer.Option(min=0.01, help="Of one request.")] = 32,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one request, waiting included.")] = 300,
    patience: Annotated[float, typer.Option(min=0, help="Seconds for what is under way when it is told to stop.")] = 30,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host whose images may be fetched; without one only data URLs are taken.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0.01, help="Decisions: what calibrates their probabilities; see --calibrate.")
    ] = 1.0,
    calibrate: Annotated[
        Path | None, typer.Option(help="Predictions of a yes/no benchmark in logits mode, to fit that temperature on.")
    ] = None,
    contrast: ContrastOption = None,
    strength: StrengthOption = None,
    gate: GateOption = None,
) -> None:
    """Serve a model as OpenAI-compatible clients ask for it: chat with images, and decisions with probabilities."""
    chosen = contrast_keys(contrast, strength, gate)
    from skymm.recipe import ContrastRecipe, parse

    taken_off = parse(chosen, ContrastRecipe, "--contrast") if chosen else None
    try:
        from skymm.serve.server import Server, run
    except ModuleNotFoundError as error:
        raise ValueError(f"no {error.name} here; install what serving needs: pip install 'skymm[serve]'") from None
    from skymm.answering.opening import open_answerer
    from skymm.progress import say
    from skymm.serve.engine import Engine
    from skymm.serve.limits import Limits

    if calibrate is not None:
        from skymm.evaluation.predictions import read_predictions, temperature_for

        temperature = temperature_for(read_predictions(calibrate))
        say(f"decisions are calibrated with temperature {temperature:.3f}")
    answerer = open_answerer(model, max_new_tokens=max_new_tokens)
    if taken_off is not None:
        answerer.contrast = taken_off
    limits = Limits(
        num_bytes=int(max_megabytes * 2**20),
        num_pixels=int(max_megapixels * 2**20),
        num_images=max_images,
        num_tokens=max_new_tokens,
        seconds=timeout,
        hosts=frozenset(host.lower() for host in allow_host or ()),
    )
    name = name or Path(model.removeprefix("hf:")).resolve().name
    with Engine(answerer, max_waiting=max_waiting, max_batch=max_batch) as engine:
        server = Server(engine, name, limits=limits, key=api_key, temperature=temperature)
        run(server, ready=lambda url: say(f"{name!r} at {url}/v1"), host=host, port=port, patience=patience)
