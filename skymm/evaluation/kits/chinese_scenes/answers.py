"""The forms in which a short answer is right: a price, a time, a number or a direction, as people write them."""

from __future__ import annotations

_DIGITS = "零一二三四五六七八九"
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def han_number(number: int) -> str:
    """A number from 0 to 999 in Chinese, as it is spoken: 10 is 十, 105 is 一百零五."""
    assert 0 <= number < 1000
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += f"{_DIGITS[tens]}十" if tens > 1 or hundreds else "十"
    elif hundreds and ones:
        text += "零"
    return text + (_DIGITS[ones] if ones or not number else "")


def english_number(number: int) -> str:
    """A number from 0 to 999 in English words: 105 is "one hundred and five"."""
    assert 0 <= number < 1000
    if number >= 100:
        rest = f" and {english_number(number % 100)}" if number % 100 else ""
        return f"{_ONES[number // 100]} hundred{rest}"
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")


def price_forms(yuan: int) -> tuple[str, ...]:
    """A price in yuan, in figures or words, with or without the currency. The first is how it is printed."""
    units = ("", "元", "块", "塊", "块钱", "塊錢", "圆", "元钱", "人民币", " yuan", " RMB", " CNY", " renminbi")
    chinese, english = han_number(yuan), english_number(yuan)
    numbers = (str(yuan), chinese, chinese.replace("二百", "两百"), f"{yuan}.0", f"{yuan}.00")
    numbers += (english, english.replace(" and ", " "))
    before = (f"{unit}{number}" for unit in ("RMB ", "CNY ") for number in numbers)
    return (f"{yuan}元", *(number + unit for number in numbers for unit in units), *before)


def number_forms(number: str, *units: str) -> tuple[str, ...]:
    """A number on a door: figures, spoken one by one or as a number, with or without the word behind it."""
    spoken = "".join(_DIGITS[int(digit)] for digit in number)
    plain = (number, spoken, spoken.replace("零", "〇"), han_number(int(number)))
    english = (f"{word}{number}" for word in ("room ", "no. ", "number ", "no "))
    return (*plain, *(one + unit for one in plain for unit in units), *english)


def time_forms(hour: int, minute: int) -> tuple[str, ...]:
    """A time of the day, of 24 hours or of 12."""
    half = hour - 12 if hour > 12 else hour
    parts = ("上午", "早上", "早晨") if hour < 12 else ("中午", "下午") if hour == 12 else ("下午", "晚上", "傍晚")
    forms = [f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{hour:02}:{minute:02}:00"]
    for shown in dict.fromkeys((hour, half)):
        spoken = [f"{name}{mark}" for name in (str(shown), han_number(shown)) for mark in "点點时時"]
        if minute:
            spoken = [
                f"{one}{rest}" for one in spoken for rest in (f"{minute}分", f"{minute}", f"{han_number(minute)}分")
            ]
            spoken += [f"{one}{han_number(minute)}" for one in (f"{han_number(shown)}点", f"{han_number(shown)}點")]
            if minute == 30:
                spoken += [f"{name}{mark}半" for name in (str(shown), han_number(shown)) for mark in "点點"]
        else:
            spoken += [f"{one}整" for one in spoken] + [f"{one}钟" for one in spoken] + [f"{one}鐘" for one in spoken]
        spoken += [f"{shown}:{minute:02}"]
        if shown == hour:
            forms += spoken
        forms += [part + one for part in parts for one in spoken]
    suffixes = (
        ("am", " a.m.", " in the morning") if hour < 12 else ("pm", " p.m.", " in the afternoon", " in the evening")
    )
    forms += [f"{half}:{minute:02}{suffix}" for suffix in suffixes]
    if not minute:
        forms += [f"{half}{suffix}" for suffix in suffixes] + ([f"{half} o'clock"] if hour == half else [])
    return tuple(dict.fromkeys(forms))
