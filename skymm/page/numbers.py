"""How numbers are written on pages: the same in both languages, so that only words are translated."""

from __future__ import annotations

NONE = "–"


def percent(value: float) -> str:
    """Whole percents, for sentences, unless that would make almost none none, or almost all all."""
    scaled = value * 100
    return f"{plain(scaled, 0 if 0.995 <= scaled <= 99.005 or scaled in (0, 100) else 1)}%"


def rate(value: float) -> str:
    """A fraction of 1 as a percentage with one decimal."""
    return f"{plain(value * 100, 1)}%"


def tick(value: float) -> str:
    """A fraction of 1 as a percentage in few letters, for axes."""
    return f"{value * 100:.3g}%"


def plain(value: float, digits: int) -> str:
    """With a real minus, and no minus before a zero."""
    return f"{value:.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def brief(value: float) -> str:
    """A count in few letters: 500, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and value % (size / 10) == 0):
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def size_name(num_bytes: float) -> str:
    """Bytes in few letters, in steps of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if num_bytes < 1024:
            return f"{num_bytes:.3g} {unit}" if num_bytes < 999.5 else f"{num_bytes:.0f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:,.1f} TiB"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def probability(value: float) -> str:
    """A probability below 1 is not written as 100%."""
    return "> 99.9%" if 0.9995 <= value < 1 else rate(value)


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def score(value: float, unit: str) -> str:
    """A score of a benchmark: a rate as a percentage, points as published."""
    return rate(value) if unit == "rate" else f"{value:.2f}"


def difference(value: float, unit: str, sign: bool = True) -> str:
    """A difference in points: of percentages where the unit is a rate."""
    scaled, digits = (value * 100, 1) if unit == "rate" else (value, 2)
    return f"{scaled:+.{digits}f}".replace("-", "−") if sign else plain(abs(scaled), digits)


def bounds(low: float | None, high: float | None, unit: str) -> str:
    """ "[61.0, 65.8]"; "" where there are none."""
    if low is None or high is None:
        return ""
    scale, digits = (100, 1) if unit == "rate" else (1, 2)
    return f"[{plain(low * scale, digits)}, {plain(high * scale, digits)}]"
