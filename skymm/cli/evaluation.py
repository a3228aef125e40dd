"""`skymm eval list | doctor | run | suite | score | gain | compare | calibrate | export | judge | report`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="Ask benchmarks, score answers, write reports.")

RecipeFile = Annotated[Path, typer.Argument(help="An evaluation recipe, such as eval/mme.toml.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value, as in root=MME_Benchmark")]
Model = Annotated[str, typer.Option(help="A directory (ours or any transformers model), hf:ID, or openai:URL#MODEL.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModeOption = Annotated[
    Literal["generate", "logits"], typer.Option(help="Write answers, or compare the choices in one forward pass.")
]
ProcessesOption = Annotated[
    int, typer.Option(min=1, help="Of the model, each with a GPU or a share of the cores; the answers are the same.")
]
ContrastOption = Annotated[
    Literal["blind", "noised", "calibrated"] | None,
    typer.Option(
        help="Take off what is said without the picture, of a noised one, or (comparing yes and no) of a blank one."
    ),
]
StrengthOption = Annotated[float | None, typer.Option(min=0, help="Of the contrast: how much; 1 if not said.")]
GateOption = Annotated[
    float | None, typer.Option(min=0, max=1, help="Contrast only where the likeliest token has less probability.")
]


@app.command("list")
def list_benchmarks(
    name: Annotated[str | None, typer.Argument(help="One benchmark, in full.")] = None,
    as_json: AsJson = False,
) -> None:
    """What can be asked: size, licence, and what to download where."""
    from skymm.evaluation import benchmark as registry
    from skymm.evaluation.table import benchmark_details, benchmark_table

    found = [registry.benchmark(one) for one in ([name] if name else registry.names())]
    if as_json:
        fields = ("name", "title", "size", "licence", "download", "layout")
        _print_json([{field: getattr(one, field) for field in fields} for one in found])
    elif name:
        benchmark_details(found[0])
    else:
        benchmark_table(found)


@app.command("doctor")
def examine_benchmark(recipe: RecipeFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """What a benchmark is worth, yours too: copies, blind guesses, wrong labels, what it can resolve; asks no model."""
    from skymm.evaluation.doctor import examine

    found = examine(_load(recipe, overrides))
    if as_json:
        _print_json(found.as_json())
    else:
        from skymm.page.document import Page
        from skymm.page.terminal import print_page

        print_page(Page("", "en", "", [found.section()]))


@app.command("run")
def run_benchmark(
    recipe: RecipeFile,
    model: Model,
    out: Annotated[Path, typer.Option(help="Directory for predictions.jsonl; a second run goes on where it ends.")],
    overrides: Overrides = None,
    mode: ModeOption = "generate",
    images: Annotated[bool, typer.Option(help="--no-images asks the same without pictures.")] = True,
    features: Annotated[
        Path | None, typer.Option(help="Feature cache of our model's towers; filled as needed.")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="In logits mode: how many questions to generate as well.")] = 64,
    processes: ProcessesOption = 1,
    contrast: ContrastOption = None,
    strength: StrengthOption = None,
    gate: GateOption = None,
) -> None:
    """Ask every question of a benchmark; answers go to OUT/predictions.jsonl."""
    keys = [f"contrast.{name}={value}" for name, value in contrast_keys(contrast, strength, gate).items()]
    asked = _load(recipe, [*(overrides or []), *keys])
    from skymm.evaluation.benchmark import benchmark
    from skymm.evaluation.run import questions_of

    tower = benchmark(asked.benchmark).judges == "tower"
    # Files that are missing are told before a model is loaded.
    questions = questions_of(asked, "generate" if tower else mode)
    from skymm.answering.several import open_processes

    answerer = open_processes(model, processes, max_new_tokens=asked.max_new_tokens, tower=tower)
    if features is not None:
        from skymm.train.features import cache_of

        if not hasattr(answerer, "cache"):
            raise ValueError(f"--features is for our own models in one process; found {model} in {processes}")
        answerer.cache = cache_of(answerer.model, features)
    path = _run(asked, answerer, out, "logits" if tower else mode, images, questions)
    if mode == "logits" and sample and not tower:
        from skymm.evaluation.run import agreement
        from skymm.progress import say

        say(agreement(asked, answerer, path, sample, questions=questions).sentence)
    print(path)


@app.command("suite")
def run_suite(
    recipe: Annotated[Path, typer.Argument(help="Which benchmarks, such as eval/suite.toml.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Answers and report.html; a second run goes on where it ends.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, as in \"benchmarks.mme.set=['root=MME_Benchmark']\"")
    ] = None,
    base: Annotated[str | None, typer.Option(help="The model's base LLM; our own models know theirs.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="This benchmark of the suite; once for each.")] = None,
    at_most: Annotated[float | None, typer.Option(help="Minutes: where it would take more, it does not start.")] = None,
    processes: ProcessesOption = 1,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Language of the report.")] = "en",
) -> None:
    """A whole evaluation with one report; says before it starts how long it takes."""
    from skymm.evaluation.suite import suite
    from skymm.recipe import load
    from skymm.recipe.suite import SuiteRecipe

    asked = load(recipe, SuiteRecipe, overrides or [])
    options = {"base": base, "only": only or (), "at_most": at_most, "processes": processes, "language": language}
    print(suite(asked, model, out, beside=recipe.parent, **options))


@app.command("score")
def score_answers(
    benchmark: Annotated[str, typer.Argument(help="A name that `skymm eval list` shows.")],
    paths: Annotated[list[Path], typer.Argument(help="Predictions of ours, or answer files as officially published.")],
    labels: Annotated[
        Path | None, typer.Option(help="Questions with their answers, where the answers lack them.")
    ] = None,
    objects: Annotated[Path | None, typer.Option(help="CHAIR: the objects in every image.")] = None,
    vocab: Annotated[Path | None, typer.Option(help="CHAIR: vocabulary and synonyms.")] = None,
    singular: Annotated[Path | None, typer.Option(help="CHAIR: the official singular forms.")] = None,
    grades: Annotated[Path | None, typer.Option(help="What a judge said, where one is needed.")] = None,
    response: Annotated[
        str | None, typer.Option(help="The column with the model's words, where a file leaves it open.")
    ] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="95 % intervals, pictures resampled.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score answers: official rule, and beside it the strict bilingual reading."""
    from skymm.evaluation import benchmark as registry
    from skymm.evaluation.benchmark import covered_scores
    from skymm.evaluation.predictions import is_predictions, read_predictions
    from skymm.evaluation.run import files_of, score_of
    from skymm.evaluation.statistics import score_intervals
    from skymm.evaluation.table import score_table

    column = Path(response) if response else None
    named = {"labels": labels, "objects": objects, "vocab": vocab, "singular": singular, "grades": grades}
    files = {name: path for name, path in {**named, "response": column}.items() if path is not None}
    wanted = registry.benchmark(benchmark)
    if is_predictions(paths[0]):
        if len(paths) > 1:
            raise ValueError(f"found {len(paths)} predictions, expected one run at a time")
        run = read_predictions(paths[0], wanted)
        scores, answers = score_of(run, files), run.answers
        if wanted.relabel is not None and "labels" in files:
            answers = wanted.relabel(answers, files["labels"])
        files = {**files_of(run), **files}
    else:
        answers = wanted.read(paths, files)
        scores = covered_scores(wanted, answers, files)
    if intervals:
        scores["intervals"] = score_intervals(wanted, answers, files)
    if as_json:
        _print_json(scores)
    else:
        score_table(wanted, scores)


@app.command("gain")
def gain_of_images(
    recipe: Annotated[Path | None, typer.Argument(help="An evaluation recipe; none with --sv, --swv and --st.")] = None,
    overrides: Overrides = None,
    model: Annotated[str | None, typer.Option(help="As for `skymm eval run`.")] = None,
    base: Annotated[str | None, typer.Option(help="The model's base LLM; our own models know theirs.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the predictions of the three passes.")] = None,
    mode: ModeOption = "generate",
    sv: Annotated[str | None, typer.Option(help="With images: a score in points, or predictions.")] = None,
    swv: Annotated[str | None, typer.Option(help="Without images.")] = None,
    st: Annotated[str | None, typer.Option(help="The base LLM.")] = None,
    as_json: AsJson = False,
) -> None:
    """Multimodal gain and leakage: the same questions with images, without, and to the base LLM."""
    from skymm.evaluation.gain import PASSES, gain, gain_of_runs, points, refuse

    given = [one for one in (sv, swv, st) if one is not None]
    if recipe is None:
        if len(given) != 3:
            raise ValueError("gain needs a recipe with --model and --out, or all of --sv, --swv and --st")
        found = gain(*map(points, given))
    else:
        if model is None or out is None or given:
            raise ValueError("gain with a recipe needs --model and --out, and no --sv, --swv or --st")
        asked = _load(recipe, overrides)
        from skymm.evaluation.run import questions_of

        refuse(asked.benchmark)
        questions = questions_of(asked, mode)
        from skymm.answering.opening import open_answerer

        answerer = open_answerer(model, max_new_tokens=asked.max_new_tokens)
        if base is None and not hasattr(answerer, "base_llm"):
            raise ValueError(f"the base LLM of {model} is not known; name it with --base")
        alone = open_answerer(base, max_new_tokens=asked.max_new_tokens) if base else answerer.base_llm()
        for name, who, images in zip(PASSES, (answerer, answerer, alone), (True, False, False)):
            _run(asked, who, out / name, mode, images, questions)
        found = gain_of_runs(out)
    if as_json:
        _print_json(found)
    else:
        print(f"MG {found['mg']:.1f} (with images {found['sv']:.1f}, without {found['swv']:.1f})")
        print(f"ML {found['ml']:.1f} (without images {found['swv']:.1f}, base LLM {found['st']:.1f})")


@app.command("compare")
def compare_runs(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Predictions of one benchmark, the first plain greedy; or two directories with several."),
    ],
    out: Annotated[Path | None, typer.Option(help="A page with the same.")] = None,
    as_json: AsJson = False,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Language of the page.")] = "en",
) -> None:
    """Differences between runs: paired by picture, by AUROC, and where all say yes equally often.

    Two directories with the predictions of several benchmarks are compared benchmark by benchmark.
    """
    from skymm.evaluation.compare import compare, pairs_below, sections, words_in
    from skymm.evaluation.predictions import file_of, read_predictions
    from skymm.evaluation.report.findings import named
    from skymm.page.document import Page, Section, Sentences, read_words, write_page
    from skymm.page.terminal import print_page

    words, of_report = words_in(language), read_words("skymm.evaluation.report", "words", language)
    is_whole = len(runs) == 2 and all(path.is_dir() and not file_of(path).is_file() for path in runs)
    pairs, left = pairs_below(*runs) if is_whole else ([tuple(runs)], [])
    shown, told = [], {}
    for pair in pairs:
        found, benchmark = compare(pair, language=language), read_predictions(pair[0]).definition
        label = f"{benchmark.name}: {named(benchmark.main.label, of_report)}"
        place = str(Path(pair[0]).relative_to(runs[0])) if is_whole else ""
        shown += sections(found, label, benchmark.main.unit, language, place)
        told[place] = [one.as_json() for one in found]
    title = words["title"].format(benchmark=benchmark.title)
    if is_whole:
        title = words["whole"].format(a=runs[0], b=runs[1])
        notes = [words["left"].format(place=place) for place in left]
        shown.append(Section("", [Sentences([words["many"].format(count=len(pairs))] * (len(pairs) > 1) + notes)]))
    page = Page(title, words["html_language"], "", shown)
    if as_json:
        _print_json(told if is_whole else told[""])
    else:
        print_page(page)
    if out is not None:
        print(write_page(page, out))


@app.command("export")
def export_answers(
    benchmark: Annotated[Literal["mme"], typer.Argument(help="mme: the official result files.")],
    predictions: Annotated[Path, typer.Argument(help="A predictions file of ours, or its directory.")],
    out: Annotated[Path, typer.Option(help="Directory for the files to submit.")],
) -> None:
    """Write answers as the benchmark's authors want them submitted; scored again they give the same."""
    from skymm.evaluation.benchmarks import mme
    from skymm.evaluation.predictions import read_predictions

    answered = read_predictions(predictions, mme.BENCHMARK)
    missing = answered.num_questions - len(answered.answers) + len(answered.failed)
    if missing:
        raise ValueError(
            f"{answered.path}: {missing} of {answered.num_questions} questions are not answered yet; run it again"
        )
    for path in mme.write_results(answered.answers, out):
        print(path)


@app.command("calibrate")
def calibrate_model(
    model: Annotated[Path, typer.Argument(help="The directory of a model of ours.")],
    predictions: Annotated[
        Path | None, typer.Argument(help="Its answers in logits mode, to pictures it was not trained on.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Take the model's calibration away.")] = False,
) -> None:
    """Make yes and no as sure as they are right: two numbers per language go into the model's configuration."""
    from skymm.evaluation.calibration import fit, write
    from skymm.evaluation.predictions import read_predictions

    if reset == (predictions is not None):
        raise ValueError("expected predictions, or --reset to take a calibration away")
    fits = None if reset else fit(read_predictions(predictions))
    write(model, fits)
    for language, one in (fits or {}).items():
        changes = ", ".join(f"{name} {before:.2f} -> {after:.2f}" for name, (before, after) in one.changes.items())
        numbers = f"offset {one.offset:.2f}, temperature {one.temperature:.2f}"
        print(f"{language}: {numbers}; on {one.num_answers} answers: {changes}")


@app.command("probe")
def probe_towers(
    model: Annotated[str, typer.Argument(help="A model of ours, or skymm-photos: its towers are looked through.")],
    shards: Annotated[list[str], typer.Argument(help="Shards with facts, to fit the linear readers to.")],
    root: Annotated[str, typer.Option(help="Shards that were kept back, as of eval/held_out.toml.")],
) -> None:
    """Where it is lost: AUROC of linear readers of the towers, and of what the latents name, on the questions of `held_out`."""
    from skymm.answering.opening import open_answerer
    from skymm.evaluation import probe
    from skymm.evaluation.benchmark import benchmark
    from skymm.recipe import EvalRecipe, parse

    questions = benchmark("held_out").load(parse({"benchmark": "held_out", "root": root}, EvalRecipe))
    print("\n".join(probe.told(open_answerer(model, max_new_tokens=1), shards, questions)))


@app.command("judge")
def judge_answers(
    predictions: Annotated[Path, typer.Argument(help="Predictions of a benchmark that wants a judge, such as mm_vet.")],
    judge: Annotated[str, typer.Option(help="Who grades, as for --model: openai:URL#MODEL, hf:ID or a directory.")],
    prompt: Annotated[
        Path | None, typer.Option(help="The official prompt, where published numbers are to be met.")
    ] = None,
) -> None:
    """Have free answers graded by a judge; grades are stored beside the predictions, so scoring again is free."""
    from skymm.answering.opening import open_answerer
    from skymm.answering.protocol import Ask
    from skymm.evaluation.benchmark import benchmark
    from skymm.evaluation.judge import grade
    from skymm.evaluation.predictions import read_predictions
    from skymm.evaluation.run import files_of
    from skymm.progress import progress, say

    answered = read_predictions(predictions)
    rule = benchmark(answered.benchmark).judge
    if rule is None:
        raise ValueError(f"{answered.path}: {answered.benchmark} is scored by a rule and needs no judge")
    writer = open_answerer(judge, max_new_tokens=512)

    def ask(messages: list[str]) -> Iterator[tuple[int, str]]:
        for index, reply in writer.answer([Ask(message) for message in messages], "generate"):
            if reply.error is not None:
                say(f"no grade: {reply.error}")
            yield index, reply.text

    files = files_of(answered) | ({"judge_prompt": prompt} if prompt else {})
    answers = [answer for answer in answered.answers if not answer.failed]
    with progress() as bar:
        task = bar.add_task("judging", total=len(answers), note="")
        graded = grade(
            answered.path,
            ask,
            answers,
            rule(files),
            name=writer.name,
            batch_size=max(16, writer.batch_size),
            advance=lambda answers: bar.advance(task, answers),
        )
    if graded.num_bad:
        say(f"{graded.num_bad} grades could not be read; judge again to ask for these once more")
    print(graded.path)


@app.command("report")
def write_html(
    runs: Annotated[list[Path], typer.Argument(help="Directories that `skymm eval run` (or gain) wrote.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
    language: Annotated[Literal["en", "zh"], typer.Option(help="Language of the page.")] = "en",
) -> None:
    """One page that says whether a model sees or only talks."""
    from skymm.evaluation.report.page import collect, write_report

    found, gains = collect(runs)
    print(write_report(found, out, language=language, gains=gains))


def contrast_keys(kind: str | None, strength: float | None, gate: float | None) -> dict[str, Any]:
    """The options that were given, as keys of a recipe's [contrast]."""
    given = {"kind": kind, "strength": strength, "gate": gate}
    return {name: value for name, value in given.items() if value is not None}


def _load(recipe: Path, overrides: list[str] | None) -> Any:
    from skymm.recipe import EvalRecipe, load

    return load(recipe, EvalRecipe, overrides or [])


def _run(recipe: Any, answerer: Any, out: Path, mode: Any, images: bool, questions: Any) -> Path:
    from skymm.evaluation.run import run, unanswered
    from skymm.progress import progress, say

    with progress() as bar:
        task = bar.add_task(out.name or recipe.benchmark, total=len(questions), note="")
        path = run(
            recipe,
            answerer,
            out,
            mode=mode,
            images=images,
            questions=questions,
            advance=lambda answers: bar.advance(task, answers),
        )
    for sentence in unanswered(path):
        say(sentence)
    return path


def _print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2))
