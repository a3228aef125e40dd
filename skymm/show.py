"""Look at shards on a terminal: what is in a sample, and which part of it a model learns to say."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from skymm.conversation import Conversation
from skymm.data.shards import Sample, conversation_of, expand, read_shard

_POLARITY = {"positive": "bold green", "negative": "bold red", None: "bold cyan"}


def show(
    shards: str | Sequence[str],
    *,
    count: int = 3,
    key: str | None = None,
    llm: str | None = None,
    console: Console | None = None,
) -> None:
    """Print samples; answers are green (positive), red (negative) or cyan (not said).

    With `llm`, the tokens it would read follow, learned ones coloured. Raises ValueError when `key` is nowhere.
    """
    console = console or Console(highlight=False)
    encoder = _encoder(llm) if llm else None
    shown = 0
    for path in expand(shards, remote=True):
        for sample in read_shard(path):
            if key is not None and sample.key != key:
                continue
            conversation = conversation_of(sample)
            _print(console, sample, conversation)
            if encoder:
                _print_tokens(console, encoder, conversation)
            shown += 1
            if shown == count or key is not None:
                return
    if not shown:
        raise ValueError(f"no sample with key {key!r} in {shards}")


def _print(console: Console, sample: Sample, conversation: Conversation) -> None:
    console.print(Text(f"{sample.shard}  {sample.key}", style="bold"))
    for name in conversation.images:
        console.print(Text(f"  image {name}: {_describe(sample.members.get(name))}", style="dim"))
    for turn in conversation.turns:
        line = Text(f"  {turn.role}: ")
        if turn.role == "assistant":
            line.append(turn.text, style=_POLARITY[turn.polarity])
            said = [word for word in (turn.language, turn.kind, turn.polarity) if word]
            line.append(f"   {' '.join(said)}", style="dim")
        else:
            for kind, said in turn.parts:
                line.append(said if kind == "text" else f"⟦{said}⟧", style="" if kind == "text" else "magenta")
        console.print(line)


def _describe(data: bytes | None) -> str:
    from PIL import Image

    if data is None:
        return "left out, only its features are here"
    try:
        with Image.open(io.BytesIO(data)) as image:
            return f"{image.width} x {image.height} {image.format}, {len(data):,} bytes"
    except OSError as error:
        return f"unreadable ({error}), {len(data):,} bytes"


def _encoder(llm: str) -> Any:
    import transformers

    from skymm.model.chat import ChatEncoder, free_id
    from skymm.model.named import resolve_llm

    tokenizer = transformers.AutoTokenizer.from_pretrained(resolve_llm(llm))
    return ChatEncoder(tokenizer, num_latents=1, image_token_id=free_id(tokenizer, 0), system=None)


def _print_tokens(console: Console, encoder: Any, conversation: Conversation) -> None:
    encoded = encoder.encode(conversation)
    line = Text("  ")
    run: list[int] = []

    def flush(learned: bool) -> None:
        # Whole runs are decoded at once: a Chinese character may be three tokens, none of which can be shown alone.
        if run:
            line.append(encoder.tokenizer.decode(run), style="bold black on green" if learned else "")
            run.clear()

    learned = False
    for token, label in zip(encoded.ids, encoded.labels):
        if token == encoder.image_token_id:
            flush(learned)
            line.append("⟦image⟧", style="bold magenta")
            continue
        if (label >= 0) != learned:
            flush(learned)
            learned = label >= 0
        run.append(token)
    flush(learned)
    console.print(line)
    console.print(
        Text(f"  {len(encoded.ids)} tokens, {sum(label >= 0 for label in encoded.labels)} learned", style="dim")
    )
