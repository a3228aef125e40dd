"""Text that is on the page because of the page, not because of the picture: in both languages, by plain patterns."""

from __future__ import annotations

import re

# What a picture shows may be quoted: a sign that reads “版权所有” is no copyright notice.
_QUOTED = re.compile('“[^”]*”|"[^"]*"|「[^」]*」|『[^』]*』|‘[^’]*’|《[^》]*》')

_MOJIBAKE = re.compile("\ufffd|ï¿½|锟斤拷|烫烫烫|屯屯屯|[ÃÂ][\u0080-\u00bf]|â€|ï¼|[æåçèé][\u0080-\u00bf]{2}")
_HTML = re.compile(
    r"</?(?:a|b|i|p|u|br|hr|em|div|img|span|font|strong|center|table|tbody|t[rdh]|[uo]l|li|h[1-6]|script|style|iframe)"
    r"(?:\s[^<>]*)?/?>|&(?:nbsp|amp|lt|gt|quot|apos|hellip|mdash|ndash|[lr]squo|[lr]dquo|copy|#\d{1,6}|#x[0-9a-f]{1,6});",
    re.IGNORECASE,
)

_ANYWHERE = re.compile(
    r"\blorem ipsum\b|\bdolor sit amet\b"
    r"|\bclick (?:here|this link|to (?:view|see|enlarge|zoom|read|download|expand|open|play)|for (?:more|larger|full|details)"
    r"|(?:on )?(?:the )?(?:image|photo|picture|thumbnail) (?:to|for)\b)"
    r"|\ball rights reserved\b|©\s*(?:copyright\s*)?\d{4}|\bcopyright\s*(?:©|\(c\))"
    r"|\bfree shipping\b|\badd to cart\b|\bbuy now\b|\bshop now\b|\border now\b|\bsubscribe now\b"
    r"|点击(?:这里|此处|查看|进入|下载|购买|放大|图片|链接|播放|关注|阅读|上方|下方)|查看(?:大图|原图|更多|详情|全文)"
    r"|版权所有|侵权必究|侵权?必?删|转载请注明|图片来源[:：于]|图源网络|未经授权|本文来自"
    r"|包邮|厂家直销|正品(?:保证|代购)|现货(?:供应|速发)|全国联保|限时(?:抢购|特价|优惠|秒杀)|一件代发|货到付款"
    r"|七天无理由|领取?优惠券|(?:加|添加)微信|微信(?:公众)?号\s*[:：]|扫码(?:关注|添加|领取|加群)|(?:联系|咨询)(?:电话|热线)"
    r"|欢迎(?:选购|订购|来电|咨询)|关注我们",
    re.IGNORECASE,
)

_AT_START = re.compile(
    r"(?:(?:this|image|photo|picture)(?: by [^:]{1,60}?)? (?:may|might) contain\b|may be an? (?:image|photo|illustration) of\b"
    r"|no (?:photo|image|picture)(?: description)? (?:available|provided)|(?:image|photo) (?:not|un)(?: ?available| found)"
    r"|(?:图片|照片|图像)(?:中?可能)(?:包含|含有)|可能是.{0,12}的(?:图像|图片|照片)|(?:暂无|没有)(?:图片|照片|描述|介绍|标题))",
    re.IGNORECASE,
)

# The whole text, punctuation aside. Alternative texts that content systems and cameras fill in by themselves.
_WHOLE = re.compile(
    r"(?:image|photo|picture|img|pic|icon|logo|thumbnail|banner|avatar|placeholder|untitled|null|none|undefined|nan|n a"
    r"|alt(?: text)?|caption|no caption|description|no description|image description|default(?: image)?|featured image"
    r"|图片?|照片|图像|配图|插图|缩略图|头像|无|空|标题|无标题|未命名|图片描述|图片说明|默认图片|微信图片|截图|屏幕截图)"
    r"(?: ?\d{1,6})?"
    r"|(?:olympus|kodak|minolta|sanyo|samsung|konica|vivitar|casio)(?: konica| minolta)?"
    r" (?:digital (?:still )?camera|camera pictures)"
    r"|sony dsc|exif jpeg(?: picture)?|digital camera|hdr image|processed with \w+(?: with \w+ preset)?|created with \w+"
    r"|(?:canon|nikon|sony|olympus|panasonic|fuji|fujifilm|kodak|samsung|casio|pentax|leica|ricoh|minolta|sigma)"
    r"(?: (?:eos|coolpix|powershot|ixus|cyber shot|finepix|lumix|dsc|mark|digital|rebel|corporation|alpha|ilce"
    r"|[ivx]{1,4}|[a-z]{0,5}\d[a-z0-9]*)){1,5}",
    re.IGNORECASE,
)

# Parts that say nothing about a picture. When they are most of a text, the text says nothing. Each begins where a word
# does and has a largest length, so that no text takes more than a moment.
_FILLING = re.compile(
    r"(?:https?://|www\.)[^\s\u3000-\u9fff]{1,2000}"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,200}"
    r"|(?<![\w.-])[a-z0-9.-]{1,100}\.(?:com|net|org|cn|info|io|co|jp|de|uk|ru)\b(?:/[^\s\u3000-\u9fff]{0,2000})?"
    r"|(?<![^\s\u3000-\u9fff])[^\s\u3000-\u9fff]{0,100}\.(?:jpe?g|png|gif|webp|bmp|tiff?|heic|svg)\b"
    r"|\b(?:img|dscn?|dscf|dcim|pict?|cimg|sam|imag|pxl|vid|mvimg|wp|fb_img|mmexport|screenshot|screen[ _-]shot|photo|image)"
    r"[ _-]{0,3}\(?\d[\d _-]{0,40}\)?(?![a-z])"
    r"|(?:微信图片|微信截图|qq图片|qq截图|屏幕截图|截图|图片|照片)[ _-]{0,3}\(?\d[\d _-]{0,40}\)?"
    r"|(?<!\d)(?:\+?86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)"
    r"|(?<!\d)0\d{2,3}[ -]\d{7,8}(?!\d)|(?<!\d)[48]00[ -]?\d{3}[ -]?\d{4}(?!\d)"
    r"|(?<!\d)(?:\+?\d{1,2}[ .-]?)?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\d)"
    r"|(?:us|rmb|hk|nt)?[$€£¥￥] ?\d[\d,.]{0,20}(?: ?元)?"
    r"|(?<![\d,.])\d[\d,.]{0,20}(?: ?(?:元|块钱|美元|usd|rmb|cny|eur|dollars?)(?![a-z]))",
    re.IGNORECASE,
)
_SPACE_OR_MARK = re.compile(r"[\W_]+")
_MAY_FILL = re.compile(r"\d|@|\.\w|//")
_SPACE = re.compile(r"\s+")
_MAX_FILLING = 0.5


def is_garbled(text: str) -> bool:
    """Whether bytes were read in the wrong encoding: replacement marks, UTF-8 as Latin-1 ("Ã©"), 锟斤拷."""
    return _MOJIBAKE.search(text) is not None


def is_boilerplate(text: str) -> bool:
    """Whether a caption was made by a page, a camera or a shop.

    Phrases ("click here", 版权所有, 包邮) count outside of quotation marks only. File names, addresses, prices and telephone
    numbers count when they are more than half of what is there, and so does a text without letters.
    """
    if is_garbled(text) or _HTML.search(text):
        return True
    unquoted = _QUOTED.sub(" ", text)
    if not unquoted.strip():
        return False
    if _ANYWHERE.search(unquoted) or _AT_START.match(unquoted.strip()):
        return True
    if _WHOLE.fullmatch(_SPACE_OR_MARK.sub(" ", text).strip()):
        return True
    return _says_nothing(text)


def _says_nothing(text: str) -> bool:
    filling: list[str] = []
    rest = text
    if _MAY_FILL.search(text):

        def note(match: re.Match[str]) -> str:
            filling.append(match[0])
            return " "

        rest = _FILLING.sub(note, text)
    num_filling = sum(len(part.replace(" ", "")) for part in filling)
    return not any(map(str.isalpha, rest)) or num_filling > _MAX_FILLING * len(_SPACE.sub("", text))
