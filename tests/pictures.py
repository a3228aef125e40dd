"""The pictures of docs/, drawn from what the code does: `python tests/pictures.py` writes them, and a test compares.

Shapes come out of the parts, built without weights (perf/fits.py); segments of the row come out of the chat encoder with the
template of Qwen; which latents see which tower is asked of the gradient.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import torch
import transformers
from chat_families import FAMILIES
from fits import KNOWN, _without_weights
from markupsafe import Markup

from skymm.conversation import Conversation, Turn
from skymm.encoded import IGNORE
from skymm.model.chat import ChatEncoder
from skymm.model.patch_encoder import patch_grid
from skymm.model.resampler import resampler_of
from skymm.page.drawing import text

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
GREY, BLUE, ORANGE, GREEN = "#e5e7eb", "#bfdbfe", "#fed7aa", "#bbf7d0"
INK, FROZEN, TRAINED = "#1f2937", "#6b7280", "#b45309"


def svg(width: float, height: float, pieces: list[Markup]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
    font = f'font-family="system-ui, Noto Sans SC, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif" fill="{INK}">'
    ground = f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>'
    return "\n".join([head + font, ground, *map(str, pieces), "</svg>\n"])


def box(x: float, y: float, width: float, height: float, colour: str, edge: str = "none") -> Markup:
    return Markup('<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" rx="4" fill="{}" stroke="{}"/>').format(
        x, y, width, height, colour, edge
    )


def arrow(x: float, y: float, to: float) -> Markup:
    return Markup('<path d="M{0:g} {1:g}V{2:g}m-4 -6l4 6l4 -6" fill="none" stroke="{3}"/>').format(x, y, to, FROZEN)


def path(zh: bool) -> str:
    """From pixels to an answer: every number is the shape of a tensor, or read in a configuration."""
    tower, llm = KNOWN["CLIP-L-336"], KNOWN["Qwen2.5-7B"]
    grid, side = patch_grid(tower, tower.image_size), tower.image_size
    with _without_weights():
        eye = transformers.AutoModel.from_config(tower)
        seen = eye(pixel_values=torch.empty(1, 3, side, side)).last_hidden_state[:, 1:]
        resampler = resampler_of(
            grids=[grid],
            context_widths=[tower.hidden_size],
            embedding_width=llm.hidden_size,
            num_latents=64,
            num_layers=2,
            num_heads=8,
            width=512,
        )
        latents = resampler([seen])
    trained = sum(one.numel() for one in resampler.parameters()) / 1e6
    frozen, learns = ("冻结", "训练") if zh else ("frozen", "trained")
    steps = [
        (f"图像 3 × {side} × {side}" if zh else f"picture 3 × {side} × {side}", "", ""),
        (f"视觉编码器 {'CLIP-L'}" if zh else "tower CLIP-L", frozen, ""),
        (f"{grid[0]} × {grid[1]} = {seen.shape[1]} {'个图像块' if zh else 'patches'} × {seen.shape[2]}", "", ""),
        (f"感知重采样器（{trained:.1f} M）" if zh else f"perceiver resampler ({trained:.1f} M)", learns, ""),
        (f"{latents.shape[1]} {'个隐向量' if zh else 'latents'} × {latents.shape[2]}", "", ""),
        (
            f"同一行：文字 + {latents.shape[1]} 个图像位置"
            if zh
            else f"one row of words and {latents.shape[1]} latents",
            "",
            "",
        ),
        (
            f"LLM Qwen2.5-7B，{llm.num_hidden_layers} 层" if zh else f"LLM Qwen2.5-7B, {llm.num_hidden_layers} layers",
            frozen,
            "+ LoRA",
        ),
        ("“没有。”" if zh else "“No.”", "", ""),
    ]
    pieces, y = [], 14.0
    for index, (name, state, more) in enumerate(steps):
        colour = {frozen: GREY, learns: ORANGE}.get(state, "#ffffff" if index in (0, 7) else BLUE)
        part = bool(state)
        left, width = (40, 280) if part else (60, 240)
        pieces += [box(left, y, width, 30 if part else 24, colour), text(180, y + (20 if part else 16), name)]
        if state:
            pieces.append(text(332, y + 20, state, "start", 10.5))
        if more:
            pieces += [box(262, y + 4, 52, 22, ORANGE), text(288, y + 19, more, size=10.5)]
        y += 30 if part else 24
        if index < len(steps) - 1:
            pieces.append(arrow(180, y + 2, y + 14))
            y += 18
    return svg(400, y + 12, pieces)


def row(zh: bool) -> str:
    """What the LLM reads of a conversation, piece by piece, and what of it is learned."""
    encoder = ChatEncoder(FAMILIES["Qwen2.5"].make(), num_latents=64, image_token_id=10**6)
    said = ("图里有熊猫吗？", "没有。", "zh") if zh else ("Is there a panda?", "No.", "en")
    turns = (Turn("user", said[0], images=("jpg",)), Turn("assistant", said[1], language=said[2], polarity="negative"))
    encoded = encoder.encode(Conversation("key", turns))
    kinds = [
        "image" if id_ == 10**6 else "learned" if label != IGNORE else "given"
        for id_, label in zip(encoded.ids, encoded.labels, strict=True)
    ]
    names = (
        {"image": "图像的隐向量", "learned": "要学的", "given": "只读"}
        if zh
        else {"image": "latents of the picture", "learned": "learned", "given": "read only"}
    )
    colours = {"image": BLUE, "learned": GREEN, "given": GREY}
    pieces, y, start = [], 14.0, 0
    for kind, group in groupby(kinds):
        count = len(list(group))
        ids = encoded.ids[start : start + count]
        start += count
        shown = "▦ ▦ ▦ … ▦" if kind == "image" else encoder.tokenizer.decode(ids).replace("\n", "⏎")
        lines = shown.replace("⏎", "⏎\n").split("\n") if shown != "⏎" else [shown]
        for index, line in enumerate(filter(None, lines)):
            pieces += [box(14, y, 300, 24, colours[kind]), text(22, y + 16, line, "start")]
            if index == 0:
                where = f"{names[kind]}，{count} 个位置" if zh else f"{names[kind]}, {count} positions"
                pieces.append(text(322, y + 16, where if kind == "image" else names[kind], "start", 10.5))
            y += 26
    return svg(510, y + 10, pieces)


def mixing(zh: bool) -> str:
    """Of two towers: what each of eight latents has seen, by its gradient."""
    names = ("CLIP", "DINOv2")
    titles = {
        "joint": "joint：每个隐向量都看两个编码器的全部图像块"
        if zh
        else "joint: each latent attends to the patches of both",
        "interleaved": "interleaved：两个编码器的隐向量交替排列"
        if zh
        else "interleaved: latents of each tower take turns",
        "additive": "additive：特征先加权相加，再重采样"
        if zh
        else "additive: features are summed first, then resampled",
    }
    pieces = [box(14, 14, 14, 14, BLUE), text(34, 25, names[0], "start"), box(94, 14, 14, 14, ORANGE)]
    pieces.append(text(114, 25, names[1], "start"))
    y = 40.0
    for mixed, title in titles.items():
        torch.manual_seed(0)
        sizes = {"num_latents": 8, "num_layers": 1, "num_heads": 2, "width": 16, "embedding_width": 8}
        resampler = resampler_of(mixing=mixed, grids=[(2, 2), (3, 3)], context_widths=[4, 6], **sizes)
        seen = [torch.randn(1, 4, 4, requires_grad=True), torch.randn(1, 9, 6, requires_grad=True)]
        latents = resampler(seen)
        pieces.append(text(14, y + 12, title, "start"))
        for index in range(8):
            gradients = torch.autograd.grad(latents[0, index].sum(), seen, retain_graph=True, allow_unused=True)
            colours = [colour for colour, one in zip((BLUE, ORANGE), gradients) if one is not None and one.any()]
            for place, colour in enumerate(colours):
                height = 22 / len(colours)
                pieces.append(box(14 + 44 * index, y + 20 + place * height, 38, height, colour))
        y += 56
    return svg(400, y + 2, pieces)


def drawn() -> dict[Path, str]:
    kinds = {"path": path, "row": row, "mixing": mixing}
    return {
        FOLDER / f"{name}.{language}.svg": draw(language == "zh")
        for name, draw in kinds.items()
        for language in ("en", "zh")
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, picture in drawn().items():
        file.write_text(picture, "utf-8")
