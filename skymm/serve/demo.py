"""`skymm demo`: ask one or two models about a picture, in a page in Chinese and English.

What the page shows is made in skymm/serve/asking.py; here is how it is laid out, and what a click does. Everything stands
still while it is waited for: no font and no script comes from the network.
"""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from skymm.answering.opening import open_answerer
from skymm.images import open_image
from skymm.page.document import read_words
from skymm.serve.asking import Exchange, Models, Talk, as_data, as_markdown, bars, evidence, probed
from skymm.serve.engine import Busy, Engine
from skymm.serve.examples import Words, examples, probes_for, probes_of, questions

LANGUAGES = (("中文", "zh"), ("English", "en"))
MOST_BYTES = "20mb"  # of a picture
_FONTS = ["system-ui", "Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif"]
_SPEAKS = "language => { document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'; }"
_TOLD = "() => document.querySelectorAll('.told').forEach(one => one.setAttribute('aria-live', 'polite'))"


def open_models(specs: Sequence[str], max_new_tokens: int) -> Models:
    """One or two models, each with its engine. Raises ValueError for another number and what `open_answerer` raises."""
    if not 1 <= len(specs) <= 2:
        raise ValueError(f"found {len(specs)} models, expected one, or two to be seen side by side")
    engines = [Engine(open_answerer(spec, max_new_tokens=max_new_tokens)) for spec in specs]
    short = [Path(spec).name for spec in specs]
    return Models(engines, short if len(set(short)) == len(short) else list(specs))


def launch(models: Models, *, host: str, port: int, **options: Any) -> Any:
    """Serve the page until it is interrupted; with `prevent_thread_lock=True` in the background. What gradio returns."""
    theme = gr.themes.Default(font=_FONTS, font_mono=["ui-monospace", "monospace"])
    theme.set(
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300"
    )  # to be read by everybody
    options = {"theme": theme, "css": _style(), "footer_links": [], "ssr_mode": False, "show_error": True, **options}
    return page(models).launch(server_name=host, server_port=port, max_file_size=MOST_BYTES, **options)


@cache
def _words(language: str) -> Words:
    return read_words("skymm.serve", "demo", language)


def _style() -> str:
    return (files("skymm.serve") / "demo.css").read_text("utf-8")


def page(models: Models) -> gr.Blocks:
    """The page, not launched yet."""
    words, names = _words("zh"), models.names
    with gr.Blocks(title=words["title"], analytics_enabled=False, fill_width=True) as blocks:
        talk = gr.State(Talk())
        with gr.Row(elem_classes="head"):
            head = gr.HTML(_head(words), padding=False)
            language = gr.Radio(LANGUAGES, value="zh", label=words["language"], scale=0, min_width=220)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                picture = gr.Image(
                    type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"], height=320
                )
                offered = gr.HTML(padding=False)
                with gr.Row(elem_classes="examples"):
                    shown = {name: gr.Button(icon=_file(name), min_width=70, scale=1) for name in examples()}
                known = gr.Dropdown([], value=None, visible=False, interactive=True)
            with gr.Column(scale=3, min_width=320):
                with gr.Row():
                    chats = [
                        gr.Chatbot(
                            label=name,
                            height=320,
                            latex_delimiters=[],
                            buttons=["copy"],
                            feedback_options=None,
                            min_width=280,
                        )
                        for name in names
                    ]
                question = gr.Textbox(lines=1, max_lines=4)
                with gr.Row():
                    ask = gr.Button(variant="primary", min_width=90)
                    stop = gr.Button(interactive=False, min_width=90)
                    clear = gr.Button(min_width=90)
                sure = gr.HTML(elem_classes="told", padding=False)
                explain = gr.Button(interactive=False)
                where = gr.HTML(elem_classes="told", padding=False)
                with gr.Group():
                    things = gr.Textbox(lines=1, max_lines=2)
                    probe = gr.Button()
                found = gr.HTML(elem_classes="told", padding=False)
                export = gr.HTML(padding=False)
        # Component -> its properties and the names of the words that they say.
        labels = {
            picture: {"label": "picture", "alt_text": "picture_alt"},
            known: {"label": "known_questions"},
            question: {"label": "question", "placeholder": "placeholder"},
            things: {"label": "probe_things", "info": "probe_help"},
            language: {"label": "language"},
            **{
                button: {"value": name}
                for button, name in ((ask, "ask"), (stop, "stop"), (clear, "clear"), (probe, "probe"))
            },
            explain: {"value": "evidence"},
            offered: {"value": "examples"},
            **{button: {"value": f"family_{examples()[name].family}"} for name, button in shown.items()},
        }
        for component, texts in labels.items():
            for key, name in texts.items():
                setattr(component, key, words[name])
        results = [sure, where, found, export]
        asking = [question, *chats, *results, ask, stop, explain]

        def all_shown(state: Talk, spoken: str) -> list[str]:
            said, last = _words(spoken), state.exchanges[-1] if state.exchanges else None
            return [
                bars(last, names, said) if last else "",
                evidence(state, names, said) if last and any(one.evidence for one in last.said) else "",
                probed(state, names, said),
                _export(state, names, said) if state.exchanges or state.asked_for else "",
            ]

        def speak(state: Talk, spoken: str) -> list[Any]:
            said = _words(spoken)
            updates = [gr.update(**{key: said[name] for key, name in texts.items()}) for texts in labels.values()]
            asked = questions(state.example, spoken) if state.example else {}
            updates[1] = gr.update(label=said["known_questions"], choices=list(asked), value=None, visible=bool(asked))
            return [_head(said), *updates, *all_shown(state, spoken)]

        def greet(state: Talk, request: gr.Request) -> list[Any]:
            accepted = request.headers.get("accept-language", "zh").lower()
            wanted = request.query_params.get("lang") or accepted
            spoken = "zh" if wanted.startswith("zh") else "en"
            return [gr.update(value=spoken), *speak(state, spoken)[1:-4], _head(_words(spoken))]

        def begin(state: Talk, data: bytes = b"", example: str = "") -> list[Any]:
            """A new conversation about this picture: everything that was said is about another one."""
            state.stop()
            state.previous, state.picture, state.example = state.picture, data, example
            state.exchanges, state.asked_for = [], []
            return [*([] for _ in chats), "", "", "", "", gr.update(interactive=False)]

        def catch_up(state: Talk, path: str | None, spoken: str) -> None:
            """A question may be faster than the news of its picture; a page may still show the picture before."""
            if (data := _read(path, spoken)) not in (b"", state.picture, state.previous):
                begin(state, data)

        def changed(state: Talk, path: str | None, spoken: str) -> list[Any]:
            data = _read(path, spoken)
            if data and data == state.picture:  # a question about it was faster than the news of it
                shown = [*_messages(state, names, _words(spoken)), *all_shown(state, spoken), gr.skip()]
            else:
                shown = begin(state, data)
            return [gr.skip() if data else None, gr.update(choices=[], visible=False), *shown]

        def choose(name: str, state: Talk, spoken: str) -> list[Any]:
            asked = list(questions(name, spoken))
            cleared = begin(state, _drawn(name), name)
            return [_file(name), gr.update(choices=asked, value=None, visible=True), *cleared, asked[0]]

        def answer(state: Talk, path: str | None, text: str, spoken: str) -> Iterator[list[Any]]:
            said = _words(spoken)
            if not text.strip():
                gr.Warning(said["no_question"])
                yield [gr.skip()] * len(asking)
                return
            catch_up(state, path, spoken)
            truth = {key: value for one in LANGUAGES for key, value in _truths(state, one[1])}.get(text.strip(), "")
            running = [gr.update(interactive=False), gr.update(interactive=True), gr.update(interactive=False)]
            try:
                for _ in models.ask(state, text.strip(), truth):
                    yield ["", *_messages(state, names, said), "", "", gr.skip(), "", *running]
            except Busy:
                gr.Warning(said["busy"])
            last: Exchange | None = state.exchanges[-1] if state.exchanges else None
            for one in last.said if last else ():
                if one.error:
                    gr.Warning(said["failed"].format(error=one.error))
            explained = bool(last and any(one.sure is not None for one in last.said))
            rest = [gr.update(interactive=True), gr.update(interactive=False), gr.update(interactive=explained)]
            yield ["", *_messages(state, names, said), *all_shown(state, spoken), *rest]

        def reason(state: Talk, spoken: str) -> list[str]:
            models.explain(state)
            return [evidence(state, names, _words(spoken)), *all_shown(state, spoken)[3:]]

        def look_for(state: Talk, path: str | None, wanted: str, spoken: str) -> list[Any]:
            said = _words(spoken)
            catch_up(state, path, spoken)
            if not state.picture:
                gr.Warning(said["no_picture"])
                return [gr.skip(), gr.skip()]
            named = wanted.strip() or not state.example
            probes = (
                probes_for(wanted, spoken, said, random.random()) if named else probes_of(state.example, spoken, said)
            )
            try:
                models.look_for(state, probes)
            except Busy:
                gr.Warning(said["busy"])
            return all_shown(state, spoken)[2:]

        cleared = [*chats, *results, explain]
        blocks.load(greet, talk, [language, *labels, head], api_visibility="private").then(
            None, language, None, js=_SPEAKS
        )
        blocks.load(None, js=_TOLD)
        language.input(speak, [talk, language], [head, *labels, *results]).then(None, language, None, js=_SPEAKS)
        picture.input(changed, [talk, picture, language], [picture, known, *cleared])
        for name, button in shown.items():
            button.click(partial(choose, name), [talk, language], [picture, known, *cleared, question])
        known.input(lambda asked: asked, known, question)
        gr.on([ask.click, question.submit], answer, [talk, picture, question, language], asking, show_progress="hidden")
        stop.click(lambda state: state.stop(), talk, None, queue=False)
        gr.on(
            [clear.click, *(chat.clear for chat in chats)],
            lambda state: begin(state, state.picture, state.example),
            talk,
            cleared,
        )
        explain.click(reason, [talk, language], [where, export])
        gr.on([probe.click, things.submit], look_for, [talk, picture, things, language], [found, export])
    # Waiting is the engines' business: they answer together those who ask at once.
    return blocks.queue(default_concurrency_limit=64)


def _head(words: Words) -> str:
    return f'<header lang="{words["html_language"]}"><h1>{words["title"]}</h1><p>{words["intro"]}</p></header>'


def _read(path: str | None, language: str) -> bytes:
    """The picture on the page; none where it cannot be shown to a model, which is said."""
    data = Path(path).read_bytes() if path else b""
    try:
        if data:
            open_image(data, Path(path or "").name)
    except ValueError as error:
        gr.Warning(_words(language)["unreadable"].format(error=error))
        return b""
    return data


def _messages(state: Talk, names: Sequence[str], words: Words) -> list[list[dict[str, str]]]:
    """What stands in the chat of each model; nothing in a talk that was begun anew while they wrote."""
    chats: list[list[dict[str, str]]] = [[] for _ in names]
    for exchange in state.exchanges:
        for chat, said in zip(chats, exchange.said):
            text = f"{said.text} {words['stopped']}".strip() if said.stopped else said.text
            chat += [{"role": "user", "content": exchange.question}]
            chat += [{"role": "assistant", "content": text or said.error or words["waiting"]}]
    return chats


def _truths(state: Talk, language: str) -> Sequence[tuple[str, str]]:
    return tuple(questions(state.example, language).items()) if state.example else ()


@cache
def _drawn(name: str) -> bytes:
    data = io.BytesIO()
    examples()[name].draw().save(data, "PNG")
    return data.getvalue()


@cache
def _file(name: str) -> str:
    """Where an example lies for gradio, which wants pictures as files."""
    folder = Path(gr.utils.get_upload_folder()) / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(_drawn(name))
    return str(folder / f"{name}.png")


def _export(state: Talk, names: Sequence[str], words: Words) -> str:
    """Links with the conversation inside: nothing of it lies on the server's disk."""
    data = json.dumps(as_data(state, names), ensure_ascii=False, indent=2)
    kinds = (("json", "application/json", data), ("markdown", "text/markdown", as_markdown(state, names, words)))
    links = []
    for kind, mime, text in kinds:
        url = f"data:{mime};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"
        suffix = {"json": "json", "markdown": "md"}[kind]
        links.append(f'<a class="export" download="conversation.{suffix}" href="{url}">{words[f"export_{kind}"]}</a>')
    return f'<p class="shown" lang="{words["html_language"]}">{" ".join(links)}</p>'
