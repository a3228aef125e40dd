"""Small programs of our own whose output is what running them says: here, when items are made, and never a model's code."""

from __future__ import annotations

import contextlib
import io
import random
from dataclasses import dataclass

_ALLOWED = {
    name: getattr(__import__("builtins"), name)
    for name in ("range", "len", "sum", "max", "min", "sorted", "print", "str", "int", "reversed", "enumerate", "abs")
}
# (program, what stands in its places, the line that is changed and what it may become)
TEMPLATES: tuple[tuple[str, dict[str, tuple], tuple[int, str]], ...] = (
    (
        "total = {c}\nfor i in range({a}, {b}):\n    total = total + i\nprint(total)",
        {"a": (0, 1, 2, 3), "b": (4, 5, 6, 7, 8), "c": tuple(range(12))},
        (2, "for i in range({a}, {b} + 1):"),
    ),
    (
        "x = {a}\ny = {b}\nif x > y:\n    x = x - y\nelse:\n    x = x + y\nprint(x)",
        {"a": tuple(range(2, 20)), "b": tuple(range(2, 20))},
        (3, "if x < y:"),
    ),
    (
        'word = "{w}"\nword = word[{a}:]\nword = word + word[0]\nprint(word)',
        {"w": ("garden", "window", "planet", "silver", "basket", "doctor", "summer"), "a": (1, 2, 3)},
        (2, "word = word[:{a}]"),
    ),
    (
        "numbers = [{a}, {b}, {c}]\nbest = numbers[0]\nfor n in numbers:\n    if n > best:\n        best = n\nprint(best)",
        {"a": tuple(range(30)), "b": tuple(range(30)), "c": tuple(range(30))},
        (4, "    if n < best:"),
    ),
    (
        "count = 0\nfor n in [{a}, {b}, {c}, {d}]:\n    if n % {m} == 0:\n        count += 1\nprint(count)",
        {"a": (2, 3, 4, 8), "b": (6, 9, 10), "c": (8, 12, 15, 16), "d": (5, 7, 14, 18), "m": (2, 3)},
        (3, "    if n % {m} != 0:"),
    ),
    (
        "x = {a}\nsteps = 0\nwhile x < {b}:\n    x = x * 2\n    steps = steps + 1\nprint(steps)",
        {"a": tuple(range(1, 9)), "b": tuple(range(10, 60, 3))},
        (4, "    x = x + 2"),
    ),
    (
        'stock = {{"pen": {a}, "cup": {b}}}\nstock["pen"] = stock["pen"] - {c}\n'
        'stock["cup"] = stock["pen"] + stock["cup"]\nprint(stock["cup"])',
        {"a": tuple(range(5, 20)), "b": tuple(range(2, 9)), "c": (0, 0, 1, 2, 4)},
        (2, 'stock["pen"] = stock["pen"] + {c}'),
    ),
    (
        "a = [{a}, {b}, {c}]\nb = a\nb = sorted(b)\nb[0] = {d}\nprint(a[0] + b[0])",
        {"a": tuple(range(1, 9)), "b": tuple(range(1, 9)), "c": tuple(range(1, 9)), "d": tuple(range(1, 9))},
        (3, "b = b"),
    ),
)


@dataclass(frozen=True, slots=True)
class Program:
    """`changed`: line `line` (from 1 on) as it might have been."""

    source: str
    line: int
    changed: str

    @property
    def lines(self) -> list[str]:
        return self.source.split("\n")

    def with_line(self, text: str | None) -> str:
        """The source with the changed line's place taken by `text`, or without it (None)."""
        there = self.lines
        there[self.line - 1 : self.line] = [] if text is None else [text]
        return "\n".join(there)


def draw(rng: random.Random, template: int) -> Program:
    source, places, (line, changed) = TEMPLATES[template]
    values = {name: rng.choice(choices) for name, choices in places.items()}
    return Program(source.format(**values), line, changed.format(**values))


def output_of(source: str, typed: str = "0") -> str:
    """What the program prints, or "error: NAME" where it stops with one. `typed`: what `input()` gives."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(source, {"__builtins__": _ALLOWED | {"input": lambda *_: typed}})
    except Exception as error:
        return f"error: {type(error).__name__}"
    return printed.getvalue().strip()


def numbered(source: str) -> str:
    return "\n".join(f"{number}  {line}" for number, line in enumerate(source.split("\n"), 1))
