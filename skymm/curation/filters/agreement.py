"""Whether pictures and captions go together, as a CLIP-like model sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from skymm.curation.record import Candidate, Outcome, keep
from skymm.images import on_white
from skymm.recipe.data import AgreementRecipe

DISAGREE = "picture and caption disagree"


@dataclass(frozen=True)
class Agreement:
    """Cosine similarity of image and text embeddings. Every caption is judged by itself; conversations are not judged.

    CLIP, Chinese-CLIP, SigLIP and whatever else `AutoModel` loads with `get_image_features` and `get_text_features`. The model
    is loaded when the first caption comes, to CUDA where there is one. The same batches give the same scores; scores are
    rounded to four places, since other batches may move the last digits.
    """

    recipe: AgreementRecipe

    def prune(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Each record without the captions that score less than `min_score` with every one of its pictures.

        Captions in a language that the model does not read stay, and so does what has no picture.
        """
        pictures = [(number, name) for number, each in enumerate(candidates) for name in sorted(each.encoded)]
        shown = {number for number, _ in pictures}
        read = [
            (number, place)
            for number, each in enumerate(candidates)
            for place, caption in enumerate(each.record.captions)
            if number in shown and caption.language in self.recipe.languages
        ]
        if not read:
            return [Outcome(candidate.record) for candidate in candidates]
        judged = {number for number, _ in read}
        pictures = [(number, name) for number, name in pictures if number in judged]
        seen = self.embed_images([candidates[number].image(name) for number, name in pictures])
        said = self.embed_texts([candidates[number].record.captions[place].text for number, place in read])
        scores = np.full(len(read), -1.0)
        of_record: dict[int, list[int]] = {}
        for index, (number, _) in enumerate(pictures):
            of_record.setdefault(number, []).append(index)
        for index, (number, _) in enumerate(read):
            scores[index] = (seen[of_record[number]] @ said[index]).max()
        bad = {pair for pair, score in zip(read, scores) if round(float(score), 4) < self.recipe.min_score}
        return [self._outcome(candidate, number, bad) for number, candidate in enumerate(candidates)]

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[images, width] of float32, each of length 1."""
        model, processor, device = self._parts
        return self._embed(
            [on_white(image) for image in images],
            lambda batch: model.get_image_features(**processor(images=batch, return_tensors="pt").to(device)),
        )

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, width] of float32, each of length 1. Longer texts than the model can read are cut off."""
        model, processor, device = self._parts
        options: dict[str, Any] = {"truncation": True, "return_tensors": "pt"}
        # SigLIP was trained on texts of full length, and says so nowhere in its files.
        options["padding"] = "max_length" if model.config.model_type.startswith("siglip") else True
        longest = getattr(getattr(model.config, "text_config", None), "max_position_embeddings", None)
        if longest:
            options["max_length"] = longest
        return self._embed(
            list(texts), lambda batch: model.get_text_features(**processor(text=batch, **options).to(device))
        )

    def _embed(self, items: list[Any], features: Any) -> np.ndarray:
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(items), self.recipe.batch_size):
                output = features(items[start : start + self.recipe.batch_size])
                vectors = getattr(output, "pooler_output", output).float()  # a tensor in older versions of transformers
                found.append(torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy())
        return np.concatenate(found)

    def _outcome(self, candidate: Candidate, number: int, bad: set[tuple[int, int]]) -> Outcome:
        record = candidate.record
        kept = tuple(caption for place, caption in enumerate(record.captions) if (number, place) not in bad)
        dropped = Counter({DISAGREE: len(record.captions) - len(kept)} if len(kept) < len(record.captions) else {})
        return keep(record, kept, record.turns, dropped)

    @cached_property
    def _parts(self) -> tuple[Any, Any, str]:
        import torch
        from transformers import AutoModel, AutoProcessor

        name = self.recipe.model
        try:
            model = AutoModel.from_pretrained(name, dtype=torch.float32)
            processor = AutoProcessor.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"filters.agreement.model: {name!r} does not load ({str(error).splitlines()[0]}); expected a directory or hub "
                "id of a CLIP-like model with its processor"
            ) from error
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise ValueError(
                f"filters.agreement.model: {name!r} is a {type(model).__name__}, which does not embed both pictures and texts; "
                "expected a CLIP-like model"
            )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return model.eval().to(device), processor, device
