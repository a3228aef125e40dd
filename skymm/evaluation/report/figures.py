"""How numbers are written: the same in both languages, so that only words are translated."""

from __future__ import annotations

from skymm.evaluation.statistics import Interval

NONE = "–"


def rate(value: float) -> str:
    """A fraction of 1 as a percentage with one decimal."""
    return f"{_plain(value * 100, 1)}%"


def probability(value: float) -> str:
    """A probability below 1 is not written as 100%."""
    return "> 99.9%" if 0.9995 <= value < 1 else rate(value)


def rounded(value: float) -> str:
    """A percentage for a sentence: whole, unless that would make almost none none, or almost all all."""
    percent = value * 100
    return f"{_plain(percent, 0 if 0.995 <= percent <= 99.005 or percent in (0, 100) else 1)}%"


def number(value: float, unit: str) -> str:
    """A score: a rate as a percentage, points as published."""
    return rate(value) if unit == "rate" else f"{value:.2f}"


def difference(value: float, unit: str, sign: bool = True) -> str:
    """A difference in points: of percentages where the unit is a rate."""
    scaled, digits = (value * 100, 1) if unit == "rate" else (value, 2)
    return f"{scaled:+.{digits}f}".replace("-", "−") if sign else _plain(abs(scaled), digits)


def bounds(interval: Interval | None, unit: str) -> str:
    """ "[61.0, 65.8]"; "" where there are none."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    scale, digits = (100, 1) if unit == "rate" else (1, 2)
    return f"[{_plain(interval.low * scale, digits)}, {_plain(interval.high * scale, digits)}]"


def swapped(interval: Interval) -> Interval:
    """The interval of the difference the other way round."""
    low, high = interval.low, interval.high
    return Interval(-interval.value, None if high is None else -high, None if low is None else -low)


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"
