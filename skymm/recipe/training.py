"""What a model is made of, and how a stage trains it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from skymm.recipe.loading import Strict


class TowerRecipe(Strict):
    """A frozen vision encoder. None: what the checkpoint says."""

    name: str = Field(description="hub id, directory, or an embedded one: efficientnet-lite0, efficientnet-lite2")
    image_size: int | None = Field(
        None, description="pixels of a side; others than the trained ones interpolate positions"
    )
    layer: int | None = Field(
        None, description="whose output is looked at: -1 the last; None: the one customary for its kind"
    )
    revision: str | None = Field(None, description="of a hub id")


class ResamplerRecipe(Strict):
    num_latents: int = Field(64, ge=1, description="LLM positions that one image takes")
    frame_latents: int | None = Field(
        None, ge=1, description="those that a frame of a clip takes: the first ones; None: as an image"
    )
    num_layers: int = Field(2, ge=1, description="rounds of looking")
    num_heads: int = Field(8, ge=1, description="attention heads; they divide the width")
    width: int = Field(512, ge=8, description="of its layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the towers' features, while training")
    mixing: Literal["joint", "interleaved", "additive"] = Field(
        "joint",
        description="of several towers; joint: latents see the patches of all, interleaved: each tower has its own share of "
        "the latents and they take turns, additive: one sees the weighted sum of their features",
    )
    weights: list[float] | None = Field(None, description="additive: one for each tower, relative; None: equal")


class LoraRecipe(Strict):
    rank: int = Field(16, ge=1, description="of the two thin matrices beside each of the LLM's")
    alpha: float = Field(32.0, gt=0, description="the update is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of what goes into the adapter")
    rslora: bool = Field(False, description="scale by alpha / sqrt(rank), for large ranks (arXiv 2312.03732)")
    dora: bool = Field(False, description="learn lengths and directions apart (arXiv 2402.09353); slower")
    targets: list[str] | None = Field(
        None, min_length=1, description="names of layers; None: all linear layers of the decoder, never the head"
    )


class ModelRecipe(Strict):
    """Which frozen parts are joined, and by what. `llm` and tower names are hub ids, directories or embedded ones."""

    llm: str = Field("smollm2-135m-instruct", description="hub id, directory, or the embedded one")
    llm_revision: str | None = Field(None, description="of a hub id")
    towers: list[str | TowerRecipe] = Field(["efficientnet-lite0"])
    resampler: ResamplerRecipe = ResamplerRecipe()
    lora: LoraRecipe | None = Field(LoraRecipe(), description="false: none, and the LLM stays exactly as it is")
    system: str | None = Field(None, description='system turn of every conversation; "" saves its tokens')
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="of the frozen parts; auto: bfloat16 where the machine is fast with it; float16 is for answering",
    )
    scaled_decode: bool = Field(
        False, description="large JPEGs are decoded at 1/2 to 1/8: faster, slightly other pixels"
    )
    quantization: Literal["nf4"] | None = Field(None, description="nf4: the LLM in 4 bits (QLoRA, needs bitsandbytes)")

    trust_remote_code: bool = Field(
        False, description="run the Python code that lies beside the weights of the LLM or a tower; read it first"
    )

    @field_validator("resampler")
    @classmethod
    def _fits_the_towers(cls, value: ResamplerRecipe, info: ValidationInfo) -> ResamplerRecipe:
        towers = len(info.data.get("towers") or ())  # none where they are wrong themselves, which is told
        if value.mixing != "joint" and towers == 1:
            raise ValueError(
                f'mixing = "{value.mixing}" is of several towers, found one; name another in `towers`, or leave mixing out'
            )
        if value.mixing == "interleaved" and towers and value.num_latents % towers:
            raise ValueError(
                f"{value.num_latents} latents cannot be dealt out evenly to {towers} towers that take turns; expected a "
                f"multiple of {towers}, such as {value.num_latents + -value.num_latents % towers}"
            )
        if value.frame_latents and value.frame_latents > value.num_latents:
            raise ValueError(
                f"frame_latents = {value.frame_latents} of num_latents = {value.num_latents}; expected fewer"
            )
        if value.weights is not None and value.mixing != "additive":
            raise ValueError('weights are for mixing = "additive"; leave them out')
        if value.weights is not None and towers and (len(value.weights) != towers or min(value.weights) <= 0):
            raise ValueError(f"found weights = {value.weights}, expected one above 0 for each of the {towers} towers")
        return value

    @field_validator("lora", mode="before")
    @classmethod
    def _no_lora(cls, value: Any) -> Any:
        return {False: None, True: LoraRecipe()}[value] if isinstance(value, bool) else value


class PreferenceRecipe(Strict):
    """Of objective = "preference": DPO (arXiv 2305.18290), and the terms of mDPO (2406.11839) that are added to it."""

    beta: float = Field(
        0.1, gt=0, description="how far the answers may move away from those of `init`: less is further"
    )
    image_weight: float = Field(
        0.0, ge=0, description="the chosen answer has to gain more with the true picture than with a damaged one"
    )
    damage_step: int = Field(
        500, ge=0, lt=1000, description="of the damage: noise of a diffusion schedule, 999 is nearly noise alone"
    )
    anchor_weight: float = Field(0.0, ge=0, description="the chosen answer has to become likelier than it was")
    sft_weight: float = Field(0.0, ge=0, description="next token of the chosen answer, its mean over the tokens")


class SourceRecipe(Strict):
    """Shards with their share of the mixture."""

    shards: str | list[str] = Field(description="a directory, patterns, addresses that fsspec knows, or pipe:COMMAND")
    weight: float = Field(1.0, gt=0, description="of this source against the others, in samples")


class StageRecipe(Strict):
    """One stage of training, as long as `steps` or `epochs` say. Learning rates are peaks, see `schedule`."""

    out: str = Field(description="directory of the run, and of the finished model")
    init: str | None = Field(None, description="run or model directory to start from; None: new resampler and LoRA")
    model: ModelRecipe | None = Field(None, description="only without init")
    objective: Literal["answers", "words", "preference"] = Field(
        "answers",
        description="answers: next token through the LLM; words: latents name what the answers say, without it; "
        "preference: the last answer against the rejected one",
    )
    preference: PreferenceRecipe = PreferenceRecipe()
    trust_remote_code: bool = Field(False, description="the same of the model that `init` names")
    trains: list[Literal["resampler", "lora", "towers", "llm"]] = Field(
        ["resampler", "lora"],
        min_length=1,
        description='without LoRA: the resampler alone; "towers" and "llm" unfreeze what is frozen otherwise',
    )
    data: dict[str, SourceRecipe]
    negative_share: float | None = Field(None, ge=0, le=1, description="of the answers; None: as the shards have it")
    languages: list[Literal["en", "zh"]] = Field(["en", "zh"], description="of the answers that are learned")
    steps: int | None = Field(None, ge=1, description="this or `epochs`")
    epochs: float | None = Field(
        None, gt=0, description="as many steps as show so many times the conversations that all shards hold"
    )
    batch_size: int = Field(32, ge=1, description="conversations per step, over all processes")
    micro_batch_size: int | None = Field(None, ge=1, description="conversations per forward pass at most")
    micro_batch_tokens: int | None = Field(None, ge=8, description="positions per forward pass at most")
    attention: str = Field(
        "auto", description="auto, varlen, flash_attention_2, sdpa, eager, ... (attn_implementation)"
    )
    packing: bool | None = Field(
        None, description="several conversations in one row without padding; None: where the attention can"
    )
    max_turns: int | None = Field(None, ge=1, description="questions per conversation at most")
    max_length: int = Field(
        2048, ge=8, description="positions of a conversation; the text of the oldest turns is shortened"
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="at its peak; of the resampler, and of LoRA if nothing else is said"
    )
    lora_learning_rate: float | None = Field(None, gt=0, description="None: learning_rate")
    towers_learning_rate: float | None = Field(
        None,
        gt=0,
        description="of unfrozen towers; None: a tenth of learning_rate (2e-6 beside 2e-5, as in LLaVA-NeXT)",
    )
    llm_learning_rate: float | None = Field(
        None, gt=0, description="of an unfrozen LLM, LoRA aside; None: a tenth of learning_rate"
    )
    warmup_steps: int = Field(10, ge=0, description="over which the learning rate rises")
    schedule: Literal["wsd", "cosine", "constant"] = Field(
        "wsd",
        description="after the linear warm-up: wsd: level, then over the last two fifths linear down to a fiftieth; "
        "cosine: down to a fiftieth all the way; constant: level to the end",
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's; of matrices alone")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    gradient_checkpointing: bool = Field(False, description="compute activations twice instead of keeping them")
    compile: bool = Field(False, description="torch.compile the LLM's layers: for runs of an hour and more")
    liger: bool = Field(False, description="Liger's fused head and cross entropy (CUDA)")
    seed: int = Field(0, description="of new weights and of the data's order")
    first_epoch: int = Field(
        0, ge=0, description="of the data's order; a run that begins with another's weights goes on"
    )
    save_every: int = Field(100, ge=1, description="steps from one checkpoint to the next")
    keep_checkpoints: int = Field(2, ge=1, description="the newest stay")
    held_out: str | list[str] | None = Field(None, description="shards whose loss is measured and never trained on")
    held_out_every: int = Field(100, ge=1, description="steps; the checkpoint with the lowest held-out loss is kept")
    held_out_samples: int = Field(64, ge=1, description="that are looked at each time")
    max_skip_ratio: float = Field(
        0.01, ge=0, le=1, description="share of samples left out as faulty; above it a run stops"
    )
    workers: int = Field(
        0, ge=0, description="data worker processes per rank; 0: samples are prepared between the steps"
    )
    features: str | None = Field(
        None,
        description='directory of a feature cache, or "shards": they lie beside the samples; None: towers run in every step',
    )
    features_precision: Literal["bfloat16", "int8"] = Field("bfloat16", description="of features that are written")
    trackers: list[Literal["tensorboard", "trackio", "swanlab", "wandb"]] = Field(
        [], description="where the numbers of every step are shown as well, besides log.jsonl"
    )

    @model_validator(mode="after")
    def _one_length(self) -> StageRecipe:
        if (self.steps is None) == (self.epochs is None):
            found = "neither" if self.steps is None else f"steps = {self.steps} and epochs = {self.epochs:g}"
            raise ValueError(f"a stage is as long as `steps` or `epochs` say: expected one of them, found {found}")
        return self

    @model_validator(mode="after")
    def _what_can_be_unfrozen(self) -> StageRecipe:
        if "towers" in self.trains and self.features is not None:
            raise ValueError(
                'trains = [..., "towers"] with features: they are what the towers saw before; leave `features` out'
            )
        if "llm" in self.trains and self.objective == "words":
            raise ValueError(
                'trains = [..., "llm"] with objective = "words", which does not run the LLM; leave "llm" out'
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_there(cls, data: Any) -> Any:
        model = data.get("model")
        lora = model.get("lora", True) if isinstance(model, dict) else getattr(model, "lora", True)
        if lora is not None and lora is not False:
            return data
        if "lora" in data.get("trains", ()):
            raise ValueError('trains = [..., "lora"] with lora = false: leave "lora" out, or the model has to have one')
        return {"trains": ["resampler"], **data}
