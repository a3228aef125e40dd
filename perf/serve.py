"""What does a server bear? Many clients at once with questions of mixed sizes, against one request at a time.

    python perf/serve.py --model runs/quickstart/stage2                        # 64 clients, two minutes
    python perf/serve.py --model runs/quickstart/stage2 --clients 8 --seconds 10

Starts `skymm serve` on a free port, asks one question at a time, then lets all clients ask at once, each its next question as
soon as it has the answer to the last. Prints statuses, latencies, throughput of both, and the server's memory before, during
and after. Last, every question is asked offline (as `skymm ask` does): answers at temperature 0 have to be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

QUESTIONS = (
    "Is there a dog in the picture?",
    "What is in the picture?",
    "图里有什么？",
    "图片里有红色的东西吗？请回答是或否。",
    "Describe the picture in detail.",
    "How many things are there?",
)
SIZES = ((224, 224), (640, 480), (1280, 960), (336, 336), (2000, 1500))


@dataclass(slots=True)
class Load:
    """What came of one phase: seconds of each answered request, statuses, tokens, answers by question."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    answers: dict[int, set[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def percentile(self, share: float) -> float:
        return float(np.quantile(self.latencies, share)) if self.latencies else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="as for `skymm serve`")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--questions", type=int, default=24, help="different ones")
    parser.add_argument("--max-tokens", type=int, default=32, help="of the longest answers")
    parser.add_argument("--max-batch", type=int, default=16)
    parser.add_argument("--max-waiting", type=int, default=64)
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    arguments = parser.parse_args()

    requests = [request_of(number, arguments.max_tokens) for number in range(arguments.questions)]
    limits = ["--max-batch", str(arguments.max_batch), "--max-waiting", str(arguments.max_waiting)]
    command = [sys.executable, "-m", "skymm.cli", "serve", arguments.model, "--port", "0", "--name", "m", *limits]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = (re.search(r"http://\S+", line) for line in server.stderr)
            url = next(match[0] for match in found if match)
            asyncio.run(ask(url, requests, 1, 0, once=True))  # what is set up at the first question is no one's latency
            before = memory(server.pid)
            alone = asyncio.run(ask(url, requests, 1, max(arguments.seconds / 4, 1)))
            middle = memory(server.pid)
            together, peaks = asyncio.run(watched(url, requests, arguments, server.pid))
            time.sleep(1)
            after = memory(server.pid)
        finally:
            server.terminate()

    same, different = offline(arguments.model, requests, [alone, together])
    rows = {"one at a time": alone, f"{arguments.clients} clients": together}
    for name, load in rows.items():
        rate = len(load.latencies) / load.seconds
        print(
            f"{name}: {len(load.latencies)} answers in {load.seconds:.1f} s, {rate:.2f}/s, {load.tokens / load.seconds:.1f} "
            f"tokens/s; p50 {load.percentile(0.5):.2f} s, p95 {load.percentile(0.95):.2f} s; statuses {dict(load.statuses)}"
        )
    gain = (len(together.latencies) / together.seconds) / (len(alone.latencies) / alone.seconds)
    tail = together.percentile(0.95) / alone.percentile(0.5)
    print(f"throughput {gain:.2f}x; p95 with all clients {tail:.1f}x the median of one at a time")
    print(
        f"memory of the server, MB: {before:.0f} before, {middle:.0f} after one at a time, {max(peaks):.0f} at most with all"
    )
    half = len(peaks) // 2
    print(
        f"  first half of that {np.median(peaks[:half]):.0f}, second half {np.median(peaks[half:]):.0f}, {after:.0f} after"
    )
    print(f"{same} questions answered as offline, {len(different)} otherwise")
    for number, told in different.items():
        print(f"  {requests[number]['messages'][0]['content'][-1]['text']!r}: offline {told[0]!r}, served {told[1]!r}")
    if arguments.json:
        numbers = {
            name: {
                "answers": len(load.latencies),
                "seconds": load.seconds,
                "tokens": load.tokens,
                "p50": load.percentile(0.5),
                "p95": load.percentile(0.95),
                "statuses": dict(load.statuses),
            }
            for name, load in rows.items()
        }
        numbers |= {"gain": gain, "tail": tail, "memory_mb": [before, middle, max(peaks), after]}
        arguments.json.write_text(json.dumps(numbers | {"same": same, "different": len(different)}, indent=2), "utf-8")


def request_of(number: int, max_tokens: int) -> dict[str, Any]:
    """A question of its own size: without a picture (every sixth), with one, or with two."""
    rng = np.random.default_rng(number)
    pictures = [] if number % 6 == 5 else [picture(rng, SIZES[number % len(SIZES)])]
    if number % 6 == 4:
        pictures.append(picture(rng, SIZES[(number + 1) % len(SIZES)]))
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    parts.append({"type": "text", "text": QUESTIONS[number % len(QUESTIONS)]})
    tokens = max(1, max_tokens * (1 + number % 4) // 4)
    return {"messages": [{"role": "user", "content": parts}], "max_tokens": tokens, "temperature": 0}


def picture(rng: np.random.Generator, size: tuple[int, int]) -> str:
    """Soft patches of colour, as a JPEG."""
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    data = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(data, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


async def ask(url: str, requests: list[dict[str, Any]], clients: int, seconds: float, *, once: bool = False) -> Load:
    """Every client asks its next question when it has the answer to the last; `once`: each question once and no more."""
    load, begun, number = Load(), time.perf_counter(), 0

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal number
        while (number < len(requests)) if once else (time.perf_counter() - begun < seconds):
            index, number = number % len(requests), number + 1
            started = time.perf_counter()
            try:
                response = await http.post(f"{url}/chat/completions", json=requests[index])
            except httpx.HTTPError as error:
                load.statuses[type(error).__name__] += 1
                continue
            load.statuses[str(response.status_code)] += 1
            if response.status_code == 429:
                await asyncio.sleep(float(response.headers["Retry-After"]))
            if response.status_code == 200:
                load.latencies.append(time.perf_counter() - started)
                answer = response.json()
                load.tokens += answer["usage"]["completion_tokens"]
                load.answers.setdefault(index, set()).add(answer["choices"][0]["message"]["content"])

    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)) as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    load.seconds = time.perf_counter() - begun
    return load


async def watched(
    url: str, requests: list[dict[str, Any]], arguments: argparse.Namespace, pid: int
) -> tuple[Load, list[float]]:
    """The load of all clients, and the server's memory twice a second meanwhile."""
    peaks = [memory(pid)]

    async def watch() -> None:
        while True:
            peaks.append(memory(pid))
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    load = await ask(url, requests, arguments.clients, arguments.seconds)
    watching.cancel()
    return load, peaks


def memory(pid: int) -> float:
    """Resident MB of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("utf-8"))[1]) / 1024


def offline(
    model: str, requests: list[dict[str, Any]], loads: list[Load]
) -> tuple[int, dict[int, tuple[str, list[str]]]]:
    """How many questions got the answer that `skymm ask` gives, every time; and the others with both answers."""
    from skymm.answering.opening import open_answerer
    from skymm.serve.chat import ChatRequest
    from skymm.serve.limits import Limits

    answerer, same, different = open_answerer(model, max_new_tokens=64), 0, {}
    for number, request in enumerate(requests):
        served = {text for load in loads for text in load.answers.get(number, ())}
        if not served:
            continue
        text = "".join(answerer.stream(ChatRequest.model_validate(request).ask(Limits())))
        if served == {text}:
            same += 1
        else:
            different[number] = (text, sorted(served))
    return same, different


if __name__ == "__main__":
    main()
