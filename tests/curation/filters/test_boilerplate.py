"""What pages, cameras and shops write is told from what people write about pictures, in both languages."""

from __future__ import annotations

import pytest

from skymm.curation.filters.boilerplate import is_boilerplate, is_garbled

MADE_BY_PAGES = [
    "IMG_1234.jpg",
    "IMG_1234",
    "DSC00123.JPG",
    "img 20190305 123456",
    "photo (3)",
    "image1",
    "mmexport1554470011",
    "1024x768.png",
    "Screenshot_20210101-101010",
    "微信图片_20180504112233.jpg",
    "QQ截图20190401",
    "屏幕截图(12)",
    "截图 3",
    "图片1",
    "OLYMPUS DIGITAL CAMERA",
    "SONY DSC",
    "KODAK Digital Still Camera",
    "Canon EOS 5D Mark III",
    "NIKON D90",
    "Exif_JPEG_PICTURE",
    "Processed with VSCO with c1 preset",
    "Image may contain: 2 people, people smiling",
    "This may contain: a cat on a sofa",
    "May be an image of 1 person",
    "Photo by Ann Lee may contain: tree",
    "图片可能包含：人物、天空",
    "可能是一个人的图像",
    "No photo available",
    "Image not found",
    "暂无图片",
    "没有描述",
    "Click here to enlarge",
    "click to view larger image",
    "a red bag, Click for details",
    "点击查看大图",
    "夏季连衣裙 点击图片进入",
    "© 2019 John Smith",
    "All rights reserved.",
    "本站版权所有，转载请注明出处",
    "侵权必删",
    "图片来源：网络",
    "2024新款女鞋 包邮",
    "【包邮】夏季短袖",
    "厂家直销 不锈钢水杯",
    "现货供应",
    "欢迎来电咨询",
    "联系电话：13812345678",
    "Free shipping worldwide",
    "Add to cart",
    "扫码关注我们",
    "https://example.com/a/b?c=1",
    "www.example.cn",
    "shop.example.com/item",
    "mail me: ann@example.com",
    "138 1234 5678",
    "(555) 123-4567",
    "$12.99",
    "￥199.00元",
    "售价 ￥1999.00",
    "400-800-1234",
    "100元",
    "2019-03-05 12:33:02",
    "!!!",
    "12345",
    "Lorem ipsum dolor sit amet",
    "image",
    "Photo",
    "untitled-1",
    "alt text",
    "N/A",
    "null",
    "No caption",
    "图片",
    "无标题",
    "未命名",
    "图片说明",
    "a caf\u00c3\u00a9 at night",
    "It\u00e2\u20ac\u2122s a cat",
    "a dog \ufffd\ufffd",
    "ï¿½ï¿½ a dog",
    "锟斤拷锟斤拷",
    "一只狗烫烫烫",
    "<p>A dog</p>",
    "a dog<br/>a cat",
    '<img src="x.jpg">',
    "Tom &amp; Jerry",
    "a dog&nbsp;&#8211; a cat",
]
WRITTEN_BY_PEOPLE = [
    "A dog runs on the beach.",
    "两只狗在草地上跑。",
    "a $5 bill lies on the table",
    "桌上放着一张100元的钞票",
    "A man takes a photo of 3 birds",
    'A shop window that says "free shipping"',
    "墙上贴着“版权所有”的告示",
    "一本《点击查看》杂志",
    "A woman clicks a pen",
    "A person clicks on a mouse",
    "An image of a cat",
    "photo of a castle at night",
    "一张猫的图片",
    "图片里有一只猫",
    "A Canon camera on a wooden table",
    "一台尼康相机",
    "Nikon lenses in a row",
    "Two people may be smiling",
    "A phone shows the number 555-123-4567 on its screen",
    "The sign reads www.example.com above the door of a small shop",
    "招牌上写着13812345678和一家餐厅的名字",
    "x < y is written on the board",
    "a map of area <b5> in the city",
    "R&D department",
    "MAÇÃ vermelha",
    "Ãrvore? não",
    "一盘热腾腾的饺子",
    "A 1945 photograph of soldiers",
    "No people are on the beach",
    "没有人的海滩",
    "3 cats",
    "三只猫",
    "Untitled, a painting by Rothko",
    "A cart in a store",
    "无人机拍摄的村庄",
    "截图软件的界面",
    "logo of a bank",
    "喝水的猫",
    "烫烫的火锅",
]


@pytest.mark.parametrize("text", MADE_BY_PAGES)
def test_boilerplate_is_known(text):
    assert is_boilerplate(text)


@pytest.mark.parametrize("text", WRITTEN_BY_PEOPLE)
def test_what_people_write_stays(text):
    assert not is_boilerplate(text)


def test_garbled_is_less_than_boilerplate():
    assert is_garbled("caf\u00c3\u00a9") and is_garbled("锟斤拷")
    assert not is_garbled("<p>x</p>") and not is_garbled("$12.99") and not is_garbled("café, 咖啡")


def test_long_text_takes_no_time():
    """No pattern may explode: 100,000 characters of what nearly matches, in well under a second each."""
    import time

    for text in (
        "a." * 50000,
        "1 " * 50000,
        "<a " * 33000,
        "image by " * 11000,
        "点击" * 50000,
        "img_" * 25000,
        "x-" * 50000,
    ):
        start = time.perf_counter()
        is_boilerplate(text)
        assert time.perf_counter() - start < 2, text[:10]
