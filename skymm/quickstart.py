"""The whole story on a laptop: data, a warm-up, three trainings, a benchmark after each, a table and a page.

What is compared: after stage 1 (captions only), after stage 2 on positives only, and after stage 2 on as many negatives as
positives. Both stage-2 runs start from the same stage 1 and read the same conversations in the same order. The one on positives
is short: it soon says yes to everything, and more would only make it surer. The last one has all time that is left.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skymm import recipe as recipes
from skymm.conversation import LANGUAGES
from skymm.progress import progress, say
from skymm.recipe import EmojiScenesRecipe, EvalRecipe, StageRecipe
from skymm.shipped import SHIPPED

ENOUGH = {"words": 350, "stage1": 12, "positives": 25}  # steps; with more of them the last stage does not learn more
WORDS_SHARE = 0.3  # of the time for training, at most
_KEPT = 'trains=["lora"]'  # of stage 2: latents keep the words that they have learned, and a step takes a fifth less
FEW_STEPS, ENOUGH_STEPS = 200, 260  # of stage 2: below the first the story shows nothing, with the second it does
_SAFE = 0.8  # of the time is planned: a stage has to start, and other programs slow a machine down
_AFTER = 30  # seconds for the photos and the page
MODELS = {
    "stage1": "captions (stage 1)",
    "positives": "+ positives (stage 2)",
    "stage2": "+ positives and negatives (stage 2)",
}
BENCHMARKS = ("bench", "bench_new_style", "bench_new_concept")
PHOTOS = "photos"


def quickstart(out: Path, *, minutes: float = 10) -> None:
    """Run the story in OUT. Whatever is finished there is reused; another `minutes` needs another OUT."""
    from skymm import assets
    from skymm.curation.building.workers import Local
    from skymm.curation.emoji_scenes.dataset import build

    begin = time.monotonic()
    assets.default_llm_dir()  # a download, so not part of the minutes
    start = time.monotonic()
    story = _Story(out, deadline=start + 60 * minutes, minutes=minutes)
    build(story.source, out / "data", Local(os.cpu_count() or 1))
    story.look_once()

    from skymm.train.loop import train

    words = train(story.stage("words"))
    stage1 = train(story.stage("stage1", f"init={words}", "batch_size=2"))
    story.judge("stage1")
    train(story.stage("positives", f"init={stage1}", _KEPT, "negative_share=0.0"))
    story.judge("positives")
    stage2 = train(story.stage("stage2", f"init={stage1}", _KEPT))
    story.judge("stage2")
    story.ask_about_photos()
    page = story.report()
    say(f"\nA page with pictures, questions and answers: {page}")
    say(f'Ask it yourself: skymm ask {stage2} {story.example_image()} "图里有熊猫吗？"')
    say(f"{(time.monotonic() - start) / 60:.1f} minutes, after {(start - begin) / 60:.1f} for the LLM's weights")


def bundled_recipe(folder: str, name: str) -> Path:
    """A recipe of the folders data_recipes, training and eval: in a checkout those, elsewhere the copies in the wheel."""
    package = Path(__file__).parent
    checkout = package.parent / folder / f"{name}.toml"
    return checkout if checkout.is_file() else package / "recipes" / folder / f"{name}.toml"


class _Story:
    """Where things lie, and how much time is left."""

    def __init__(self, out: Path, *, deadline: float, minutes: float):
        self.out, self.deadline = out, deadline
        self.data, self.features = out / "data", out / "features"
        self.source = recipes.load(bundled_recipe("data_recipes", "quickstart"), EmojiScenesRecipe)
        self.plan_file = out / "plan.json"
        self.plan: dict[str, Any] = {"minutes": minutes, "steps": {}}
        if self.plan_file.exists():
            self.plan = json.loads(self.plan_file.read_text("utf-8"))
            if self.plan["minutes"] != minutes:
                raise ValueError(
                    f"{out} holds a story of {self.plan['minutes']:g} minutes, asked for are {minutes:g}; give another --out"
                )

    # --- training -----------------------------------------------------------------------------------------------------

    def stage(self, name: str, *overrides: str) -> StageRecipe:
        """The recipe of a stage with as many steps as are enough; of the last one, as fit into the time that is left."""
        steps = self.plan["steps"]
        if name not in steps:
            steps[name] = self._planned(name, self._recipe(name, *overrides))
            self._write_plan()
        return self._recipe(name, *overrides, f"steps={steps[name]}")

    def _recipe(self, name: str, *overrides: str) -> StageRecipe:
        file = "stage2" if name == "positives" else name
        source, shards = ("instructions", "stage2") if file == "stage2" else ("captions", "stage1")
        places = [f"out={self.out / name}", f"features={self.features}", f"data.{source}.shards={self.data / shards}"]
        return recipes.load(bundled_recipe("training", file), StageRecipe, [*places, *overrides])

    def _planned(self, name: str, recipe: StageRecipe) -> int:
        if name not in ("words", "stage2"):
            return ENOUGH[name]
        from skymm.train.loop import seconds_per_step

        say(f"timing a few steps of {name}")
        seconds = seconds_per_step(recipe)
        judging = self.plan.get("seconds_of_judging", 25.0)  # as long as the first one took, or a guess
        left = self.deadline - time.monotonic() - (1 if name == "stage2" else 3) * judging - _AFTER
        fit = max(12, int(_SAFE * (WORDS_SHARE if name == "words" else 1) * left / seconds))
        if name == "words":
            return min(ENOUGH[name], fit)
        if fit < FEW_STEPS:
            say(self._too_few(fit, seconds, left))
        return fit

    def _too_few(self, steps: int, seconds: float, left: float) -> str:
        """What to do where so few steps of stage 2 fit in that the story shows nothing; the words may grow along."""
        missing = ENOUGH_STEPS * seconds / _SAFE - left
        minutes = math.ceil(self.plan["minutes"] + missing / (1 - WORDS_SHARE) / 60)
        return (
            f"Only {steps} steps of stage 2 fit into the time that is left, too few to show what negatives teach. This machine "
            f"needs about {minutes} minutes for {ENOUGH_STEPS}: skymm quickstart --minutes {minutes} --out ANOTHER"
        )

    def _write_plan(self) -> None:
        self.plan_file.write_text(json.dumps(self.plan, indent=2) + "\n", "utf-8")

    # --- seeing -------------------------------------------------------------------------------------------------------

    def look_once(self) -> None:
        """Every training image through the frozen towers, once; the trainings read the features from disk."""
        from skymm.model.build import build_model
        from skymm.train.features import build_features, shards_of

        recipe = self._recipe("words")
        with progress() as bar:
            task = bar.add_task("looking once at every image", total=len(list(shards_of(recipe))), note="")
            build_features(recipe, build_model(recipe.model)[0], advance=lambda shards: bar.advance(task, shards))

    # --- judging ------------------------------------------------------------------------------------------------------

    def judge(self, name: str) -> None:
        """Answer every benchmark in both languages; what is answered already is not asked again."""
        from skymm.answering.skymm_model import SkyMMAnswerer
        from skymm.evaluation.run import questions_of, run
        from skymm.train.features import cache_of

        jobs = [(benchmark, language) for benchmark in BENCHMARKS for language in LANGUAGES]
        asked = [self._eval_recipe(*job) for job in jobs]
        began = time.monotonic()
        answerer = SkyMMAnswerer.from_directory(self.out / name, max_new_tokens=asked[0].max_new_tokens)
        answerer.cache = cache_of(answerer.model, self.features)
        with progress() as bar:
            total = sum(len(questions_of(recipe)) for recipe in asked)
            task = bar.add_task(f"asking {name}", total=total, note="")
            for (benchmark, language), recipe in zip(jobs, asked):
                out = self._answers(name, benchmark, language)
                run(recipe, answerer, out, advance=lambda n: bar.advance(task, n))
        self.plan.setdefault("seconds_of_judging", time.monotonic() - began)
        self._write_plan()

    def ask_about_photos(self) -> None:
        """The model of these minutes, which has never seen one, and the one that comes with skymm."""
        from skymm.answering.opening import open_answerer
        from skymm.evaluation.run import run
        from skymm.shipped import photos

        photos(self.data / PHOTOS)
        for name, model in (("stage2", str(self.out / "stage2")), ("shipped", SHIPPED)):
            asked = [(language, self._eval_recipe(PHOTOS, language)) for language in LANGUAGES]
            answerer = open_answerer(model, max_new_tokens=asked[0][1].max_new_tokens)
            for language, recipe in asked:
                run(recipe, answerer, self._answers(name, PHOTOS, language))

    def _eval_recipe(self, benchmark: str, language: str) -> EvalRecipe:
        path = bundled_recipe("eval", f"quickstart_{language}")
        return recipes.load(path, EvalRecipe, [f"root={self.data / benchmark / language}"])

    def _answers(self, name: str, benchmark: str, language: str) -> Path:
        return self.out / "answers" / name / f"{benchmark}_{language}"

    def report(self) -> Path:
        """Print the table and write the page."""
        from skymm.evaluation.run import score_predictions
        from skymm.evaluation.table import Shown, print_comparison, write_comparison

        scores = {
            title: {
                (benchmark, language): score_predictions(self._answers(name, benchmark, language))
                for benchmark in BENCHMARKS
                for language in LANGUAGES
            }
            for name, title in MODELS.items()
        }
        table = print_comparison(scores)
        scenes = sorted((self.data / "bench" / "en").glob("*/00[01].jpg"))[:12]
        both = {"stage2": f"these {self.plan['minutes']:g} minutes", "shipped": f"{SHIPPED}, which comes with skymm"}
        return write_comparison(
            self.out / "page.html",
            "skymm quickstart",
            f"{self.plan['minutes']:g} minutes on this machine, from scratch. All pictures are new to the models; answers are "
            "cut after four tokens. English is read by MME's official rule, Chinese by a strict bilingual one.",
            table,
            [
                Shown(
                    "What they answered",
                    self._answers_of(MODELS),
                    {f"bench/{one.parent.name}/{one.name}": one for one in scenes},
                ),
                Shown(
                    "Photos: a model that has only seen drawings, and one that has seen photos",
                    self._answers_of(both),
                    {
                        f"{PHOTOS}/existence/{one.name}": one
                        for one in sorted((self.data / PHOTOS / "en" / "existence").glob("*.jpg"))
                    },
                ),
            ],
        )

    def _answers_of(self, titles: Mapping[str, str]) -> dict[str, Path]:
        return {title: self.out / "answers" / name for name, title in titles.items()}

    def example_image(self) -> Path:
        return next(iter(sorted((self.data / "bench" / "en" / "existence").glob("*.jpg"))))
