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
        read = [
            (number, place)
            for number, each in enumerate(candidates)
            for place, caption in enumerate(each.record.captions)
            if each.encoded and caption.language in self.recipe.languages
        ]
        judged = dict.fromkeys(number for number, _ in read)
        pictures = [(number, name) for number in judged for name in sorted(candidates[number].encoded)]
        bad: Counter[tuple[int, int]] = Counter()
        if read:
            seen = self.embed_images([candidates[number].image(name) for number, name in pictures])
            said = self.embed_texts([candidates[number].record.captions[place].text for number, place in read])
            owners = np.array([number for number, _ in pictures])
            for (number, place), vector in zip(read, said):
                score = float((seen[owners == number] @ vector).max())
                bad[number, place] += round(score, 4) < self.recipe.min_score
        outcomes = []
        for number, record in enumerate(candidate.record for candidate in candidates):
            kept = tuple(caption for place, caption in enumerate(record.captions) if not bad[number, place])
            num_bad = len(record.captions) - len(kept)
            outcomes.append(keep(record, kept, record.turns, Counter({DISAGREE: num_bad} if num_bad else {})))
        return outcomes

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
