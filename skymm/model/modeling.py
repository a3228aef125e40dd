"""SkyMM: frozen towers, a trainable resampler, a frozen LLM with LoRA, as one transformers model.

Shape legend: B conversations, T tokens, E embedding width, I images in the batch (in the order of their positions),
K latents per image, N patches, C tower width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from skymm.model import language, lora
from skymm.model.checkpoint import load_model, name_in_model, save_model, trained_names
from skymm.model.configuration import SkyMMConfig
from skymm.model.language import decoder_of, head_of
from skymm.model.loss import IGNORE, gathered_cross_entropy
from skymm.model.resampler import resampler_of
from skymm.model.vision import Tower


@dataclass
class SkyMMOutput(ModelOutput):
    """`loss` is the mean over this batch, or over `num_items_in_batch`; `loss_sum` is not divided.

    `token_losses` (count,) fp32, with their graph, in row-major order of the labelled positions.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    loss_sum: Tensor | None = None
    token_losses: Tensor | None = None
    past_key_values: Any | None = None


class _Backbone(nn.Module):
    """The model without its head, as trainers call it that compute a loss of their own from the last hidden states."""

    def __init__(self, model: SkyMMForConditionalGeneration):
        super().__init__()
        self.whole = (model,)  # not as a part: it would be its own parent

    def forward(self, input_ids: Tensor | None = None, **inputs: Any) -> ModelOutput:
        """See `hidden_states`."""
        return self.whole[0].hidden_states(input_ids, **inputs)


def _without_image_labels(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Collators of others copy the ids as labels; an image position is no word that could be learned."""
    labels = kwargs.get("labels")
    if labels is not None:
        kwargs = kwargs | {"labels": labels.masked_fill(labels == model.config.image_token_id, IGNORE)}
    return args, kwargs


def _names_in_model(model: Any, state: dict[str, Tensor], *_: Any) -> None:
    """Weights under the names that our files have are loaded like those of `state_dict()`."""
    for name in list(state):
        state[name_in_model(name)] = state.pop(name)


class SkyMMForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Answers questions about images. Build one with `skymm.model.build.build_model` or `from_pretrained(directory)`."""

    config_class = SkyMMConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: SkyMMConfig, *, towers: list[Tower], language_model: nn.Module):
        super().__init__(config)
        self.towers = nn.ModuleList(towers)
        self.language_model = language_model
        self.head = head_of(language_model)
        self.resampler = resampler_of(
            grids=[tower.grid for tower in self.towers],
            context_widths=[tower.width for tower in self.towers],
            embedding_width=language_model.get_input_embeddings().weight.shape[1],
            embedding_rms=language.embedding_rms(language_model),
            **config.resampler,
        ).to(language_model.dtype)
        if config.lora and not lora.present(language_model):
            config.lora = config.lora | {"targets": lora.add(language_model, **config.lora)}
        self.generation_config = language_model.generation_config
        config.architectures = [type(self).__name__]
        config._attn_implementation = language_model.config._attn_implementation
        # Nobody who resumes has to be told that what is frozen is not among the weights.
        self._keys_to_ignore_on_save = set(self.state_dict()) - set(trained_names(self))
        # Before `forward`, so that it also holds where a trainer puts a forward of its own in its place.
        self.register_forward_pre_hook(_without_image_labels, with_kwargs=True)
        self.register_load_state_dict_pre_hook(_names_in_model)

    def init_weights(self) -> None:
        """Nothing: every part comes with its weights, and none may be initialised a second time."""

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    @property
    def base_model(self) -> nn.Module:
        return _Backbone(self)

    # --- seeing -------------------------------------------------------------------------------------------------------

    def encode_images(self, pixel_values: list[Tensor]) -> list[Tensor]:
        """Pixels of each tower, (I, 3, H, W), -> its features, (I, N, C). This is what a feature cache stores."""
        return [tower(pixels) for tower, pixels in zip(self.towers, pixel_values, strict=True)]

    def get_image_features(self, pixel_values: Tensor | list[Tensor], **kwargs: Any) -> BaseModelOutputWithPooling:
        """Pixels of each tower (bare for one) -> `last_hidden_state` (I, K, E), latents as the LLM will read them, and
        `pooler_output`, the same image by image, which is where transformers' models have them.
        """
        latents_IKE = self.resampler(self.look_at(pixel_values, None))
        return BaseModelOutputWithPooling(last_hidden_state=latents_IKE, pooler_output=list(latents_IKE))

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """The towers and the resampler see (modality "image"); the LLM has no encoder."""
        return self.towers if modality == "image" else super().get_encoder(modality)

    def look_at(self, pixel_values: Tensor | list[Tensor] | None, features: list[Tensor] | None) -> list[Tensor] | None:
        """Features where they are cached, else those of the pixels, if there are any."""
        if features is not None or pixel_values is None:
            return features
        return self.encode_images([pixel_values] if isinstance(pixel_values, Tensor) else list(pixel_values))

    def embed(
        self,
        input_ids: Tensor,
        features: list[Tensor] | None,
        image_positions: Tensor | None = None,
        image_latents: Sequence[int] | None = None,
    ) -> Tensor:
        """Token ids (B, T) with image positions, and features (I, N, C) per tower -> LLM inputs (B, T, E).

        `image_positions` (I * K,), counted through the rows, where they are known already; without them the device is asked
        for their number. `image_latents`: how many positions each image takes, where frames of clips take fewer than K: they
        have the first of their latents. Raises ValueError when the positions are not as many as the latents.
        """
        is_image_BT = input_ids == self.config.image_token_id
        words_BTE = self.get_input_embeddings()(input_ids.masked_fill(is_image_BT, 0))
        if image_positions is None:
            image_positions = is_image_BT.flatten().nonzero()[:, 0]
        num_images, num_latents = features[0].shape[0] if features else 0, self.config.num_latents
        counts = [num_latents] * num_images if image_latents is None else list(image_latents)
        if len(image_positions) != sum(counts) or len(counts) != num_images:
            each = f"{num_latents} latents each" if image_latents is None else f"{counts} latents"
            raise ValueError(
                f"{len(image_positions)} image positions for {num_images} images of {each}; "
                "build inputs with the processor that came with the model"
            )
        if num_images:
            latents_NE = self.resampler(features).to(words_BTE.dtype).flatten(0, 1)
            if min(counts) < num_latents:
                firsts = [torch.arange(count) + image * num_latents for image, count in enumerate(counts)]
                latents_NE = latents_NE.index_select(0, torch.cat(firsts).to(latents_NE.device, non_blocking=True))
            words_NE = words_BTE.flatten(0, 1).index_copy(0, image_positions, latents_NE)
            return words_NE.view_as(words_BTE)
        if self.training and torch.is_grad_enabled():
            # The graph is the same on every rank: a batch without images sees one blank image, with weight exactly 0.
            blank = [tower.blank_features(input_ids.device) for tower in self.towers]
            words_BTE = words_BTE + 0 * self.resampler(blank).sum().to(words_BTE.dtype)
        return words_BTE

    # --- reading ------------------------------------------------------------------------------------------------------

    def hidden_states(
        self,
        input_ids: Tensor | None = None,
        *,
        pixel_values: Tensor | list[Tensor] | None = None,
        features: list[Tensor] | None = None,
        image_positions: Tensor | None = None,
        image_latents: Sequence[int] | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> ModelOutput:
        """The decoder's output, `last_hidden_state` (B, T, E) first of all; `head` makes logits of it.

        Keywords are those of `forward`, `embed` and the decoder. Padding on either side.
        """
        if inputs_embeds is None:
            seen = self.look_at(pixel_values, features)
            inputs_embeds = self.embed(input_ids, seen, image_positions, image_latents)
        return decoder_of(self.language_model)(inputs_embeds=inputs_embeds, **kwargs)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        pixel_values: Tensor | list[Tensor] | None = None,
        features: list[Tensor] | None = None,
        inputs_embeds: Tensor | None = None,
        logits_to_keep: int = 0,
        image_latents: Sequence[int] | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> SkyMMOutput:
        """With `labels` (B, T): the loss over labelled positions, no logits. Without: logits (B, T or logits_to_keep, V).

        `pixel_values` is one tensor per tower (a bare tensor for one tower); `features` replaces it where they are cached;
        `image_latents`: see `embed`. Other keywords are the decoder's: `cu_seq_lens_q` and what goes with it say that the row
        (there is one) holds several conversations, and where each begins. `num_items_in_batch`: what the sum of the losses is
        divided by, as transformers' Trainer counts it over all steps of an accumulation.
        """
        if inputs_embeds is None:
            seen = self.look_at(pixel_values, features)
            inputs_embeds = self.embed(input_ids, seen, image_latents=image_latents)
        if labels is None:
            options = {"attention_mask": attention_mask, "logits_to_keep": logits_to_keep, **kwargs}
            output = self.language_model(inputs_embeds=inputs_embeds, **options)
            return SkyMMOutput(logits=output.logits, past_key_values=output.get("past_key_values"))
        # Padding stands right and attention is causal, so no real token ever sees it and no mask is needed.
        if attention_mask is not None and bool((attention_mask[:, 1:] > attention_mask[:, :-1]).any()):
            raise ValueError("training batches are padded on the right; this attention_mask has padding on the left")
        hidden_BTE = self.hidden_states(inputs_embeds=inputs_embeds, **{"use_cache": False, **kwargs}).last_hidden_state
        losses = gathered_cross_entropy(hidden_BTE, self.head, labels)
        divisor = max(1, losses.numel()) if num_items_in_batch is None else num_items_in_batch
        return SkyMMOutput(loss=losses.sum() / divisor, loss_sum=losses.sum(), token_losses=losses)

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | list[Tensor] | None = None,
        features: list[Tensor] | None = None,
        generation_config: Any | None = None,
        image_latents: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Prompt ids (B, T), padded left, -> ids (B, T + new). Every keyword of transformers' `generate` works.

        The LLM's own `generate` does the work, from embeddings. Image positions come back as the padding token: an id
        that every tokenizer can decode and every logits processor can look up. What `past_key_values` hold is not read
        again; without `pixel_values` and `features`, all images stand in there.
        """
        filler = self.generation_config.pad_token_id
        if filler is None:
            eos = self.generation_config.eos_token_id
            filler = (eos[0] if isinstance(eos, list) else eos) or 0
        if generation_config is not None:
            kwargs["generation_config"] = generation_config
        features = self.look_at(pixel_values, features)
        if features is not None or kwargs.get("past_key_values") is None:
            kwargs["inputs_embeds"] = self.embed(input_ids, features, image_latents=image_latents)
        return self.language_model.generate(
            input_ids=input_ids.masked_fill(input_ids == self.config.image_token_id, filler),
            attention_mask=attention_mask if attention_mask is not None else torch.ones_like(input_ids),
            **kwargs,
        )

    # --- training switches ----------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> SkyMMForConditionalGeneration:
        """Towers and LLM stay in eval, trained or not: what is pretrained has no dropout to wake; resampler and LoRA do."""
        super().train(mode)
        for part in (self.language_model, *(tower for tower in self.towers if tower.trained)):
            language.wake(part, mode)
        return self

    def checkpoint_activations(self) -> None:
        """Of the LLM, and of towers that are trained and can: computed again in the backward pass instead of kept."""
        towers = [module for tower in self.towers if tower.trained for module in tower.modules()]
        able = [one for one in towers if isinstance(one, PreTrainedModel) and one.supports_gradient_checkpointing]
        for part in (self.language_model, *able):
            language.checkpoint_activations(part)

    def freeze_for(self, trains: list[str]) -> dict[str, int]:
        """The one switch of a stage: exactly the named parts ("resampler", "lora", "towers", "llm") get gradients.

        Towers and LLM are saved with the model from then on. Returns the number of trainable parameters per part. Raises
        ValueError for an unknown part, one that is not there, and an LLM in 4 bits.
        """
        parts = {name: self.parameters_of(name) for name in trains}
        if "llm" in parts and self.config.quantization:
            raise ValueError(
                f'trains = [..., "llm"] with quantization = {self.config.quantization!r}: packed weights take no steps; '
                'train "lora" on them, or leave quantization out'
            )
        self.requires_grad_(False)
        for parameter in chain.from_iterable(parts.values()):
            parameter.requires_grad_(True)
        for tower in self.towers if "towers" in parts else ():
            tower.unfreeze()
        self.config.unfrozen = sorted({*self.config.unfrozen, *({"towers", "llm"} & parts.keys())})
        self._keys_to_ignore_on_save = set(self.state_dict()) - set(trained_names(self))
        return {name: sum(one.numel() for one in found if one.requires_grad) for name, found in parts.items()}

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """Of "resampler", "lora", "towers" or "llm". Raises ValueError for another part, and for one that is not there."""
        parts = {
            "resampler": list(self.resampler.parameters()),
            "lora": [parameter for _, parameter in lora.parameters(self.language_model)],
            "towers": list(self.towers.parameters()),
            "llm": [one for name, one in self.language_model.named_parameters() if "lora_" not in name],
        }
        if part not in parts:
            raise ValueError(f"a stage can train {list(parts)}, found {part!r}")
        if not parts[part]:
            raise ValueError(f"the stage trains {part!r}, but the model has none; add [model.lora] to the recipe")
        return parts[part]

    def lora_off(self):
        """Context manager: inside, the LLM is exactly the untouched one, unless a stage has trained it ("llm")."""
        return lora.off(self.language_model)

    # --- files --------------------------------------------------------------------------------------------------------

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str,
        is_main_process: bool = True,
        state_dict: dict[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes the delta: configuration, resampler, LoRA, parts that were unfrozen. What is frozen stays where it came from.

        `state_dict` instead of the model's own, where a trainer has gathered it; not `is_main_process`: nothing is written.
        Raises ValueError for every other keyword that asks for something, and where another part is trainable.
        """
        if is_main_process:
            save_model(self, save_directory, state=state_dict, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str, *args: Any, **kwargs: Any):  # type: ignore[override]
        """A directory (or hub id) written by `save_pretrained` -> the model, frozen parts fetched from where they live.

        Keywords: see `load_model`. Raises ValueError for every other one that asks for something.
        """
        if args:
            raise ValueError(f"from_pretrained takes one name and keywords, found {len(args)} more values")
        return load_model(cls, str(pretrained_model_name_or_path), **kwargs)
