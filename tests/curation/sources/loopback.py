"""A web of one machine: a server with good pictures and every kind of bad answer, and tables that point to it."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image


def picture(colour: str, size: tuple[int, int], kind: str = "JPEG", orientation: int | None = None) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", size, colour).save(buffer, kind, exif=exif)
    return buffer.getvalue()


RED = picture("red", (600, 400))
COMMENTS = (b"\xff\xfe\xff\xff" + bytes(65533)) * 128  # 8 MB of segments, behind the first two bytes
PAGE = b"<!doctype html><html><body>Not found</body></html>"
# Path: what is said of it, the bytes that are answered, and why they give no record ("" where they do).
ANSWERS: dict[str, tuple[str, bytes | None, str]] = {
    "/red.jpg": ("a red square", RED, ""),
    "/green.png": ("一个绿色的方块", picture("green", (100, 120), "PNG"), ""),
    "/blue.webp": ("a blue square, seen from the front", picture("blue", (64, 64), "WEBP"), ""),
    "/moved": ("红色方块", None, ""),
    "/wide.jpg": ("a picture too long and narrow", picture("gray", (900, 60)), "too long and narrow"),
    "/tiny.png": ("a picture too small", picture("gray", (8, 8), "PNG"), "too small"),
    "/huge.png": ("a picture of very many pixels", picture("gray", (3000, 3000), "PNG"), "too many pixels"),
    "/gone.jpg": ("答案是404", None, "address answers 404"),
    "/broken.jpg": ("the server has an error", None, "address answers 500"),
    "/slow.jpg": ("a server that takes its time", RED, "no answer in time"),
    "/page.jpg": ("an error page saved as a picture", PAGE, "no picture there"),
    "/empty.jpg": ("no bytes at all", b"", "no picture there"),
    "/garbage.jpg": ("bytes that are no picture", bytes(range(256)) * 8, "no picture there"),
    "/short.jpg": ("a body that ends before its length", RED, "broken off"),
    "/noai.jpg": ("a picture whose publisher says no", RED, "publisher does not allow it"),
    "/cut.jpg": ("half a picture, as somebody uploaded it", RED[: len(RED) // 2], "no picture there"),
    "/heavy.jpg": ("a picture with 8 MB of comments", RED[:2] + COMMENTS + RED[2:], ""),
    "/turned.jpg": ("a camera was held upright", picture("blue", (200, 100), orientation=6), ""),
}


class Web(ThreadingHTTPServer):
    """`asked` counts the requests by path. While `gate` is closed, no request is answered; it closes by itself after
    `close_after` requests.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()
        self.close_after: int | None = None
        self.gate = threading.Event()
        self.gate.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that were killed are no news."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked[path] += 1
        if self.server.close_after is not None and self.server.asked.total() > self.server.close_after:
            self.server.gate.clear()
        self.server.gate.wait(60)
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/red.jpg")
            self.end_headers()
            return
        if path == "/broken.jpg":
            self.send_error(500)
            return
        if path == "/slow.jpg":
            time.sleep(2.5)
        _, body, _ = ANSWERS.get(path, ("", None, ""))
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + (1000 if path == "/short.jpg" else 0)))
        if path == "/noai.jpg":
            self.send_header("X-Robots-Tag", "noai")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests have nothing to say on stderr."""


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.gate.set()
        web.shutdown()
        web.server_close()


def rows(web: Web) -> list[tuple[str, str]]:
    """(address, caption) of everything that the server has or fails to have."""
    return [(web.url(path), caption) for path, (caption, _, _) in ANSWERS.items()]


def write_table(path: Path, lines: list[tuple[str, str]]) -> Path:
    """A table in the public form that the name's ending says: csv as Wukong's (url,caption), tsv without a header as CC12M's,
    parquet as LAION's (URL, TEXT, similarity), jsonl.
    """
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("url", "caption"), *lines])
    elif path.suffix == ".tsv":
        path.write_text("".join(f"{url}\t{caption}\n" for url, caption in lines), "utf-8")
    elif path.suffix == ".jsonl":
        text = [json.dumps({"url": url, "caption": caption}, ensure_ascii=False) + "\n" for url, caption in lines]
        path.write_text("".join(text), "utf-8")
    else:
        import pyarrow
        from pyarrow import parquet

        named = [
            {"URL": url, "TEXT": caption, "similarity": 0.25 + index / 100}
            for index, (url, caption) in enumerate(lines)
        ]
        parquet.write_table(pyarrow.Table.from_pylist(named), path)
    return path
