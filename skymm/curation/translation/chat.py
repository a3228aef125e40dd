"""Chat models as translators: on this machine, or behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from skymm.curation.translation import prompt
from skymm.curation.translation.batches import generate_all
from skymm.curation.translation.loading import Loaded
from skymm.curation.translation.protocol import TranslationStopped, Translator
from skymm.endpoint import Endpoint, ask_all


class ChatTranslator(Translator):
    """Any causal LLM of transformers that has a chat template. Greedy; an answer that finds no end is ""."""

    def __init__(self, loaded: Loaded, *, name: str, batch_size: int = 16, max_new_tokens: int = 512):
        if not loaded.tokenizer.chat_template:
            raise ValueError(
                f"translation.model: {name} has no chat template; use the instruction-tuned model of its family"
            )
        self.loaded, self.name, self.max_new_tokens = loaded, name, max_new_tokens
        self.rows = batch_size
        self.batch_size = 4 * batch_size  # so that most batches of one length are full

    def identity(self, source: str, target: str) -> str:
        return f"chat {self.loaded.revision} prompt {prompt.VERSION} {self.max_new_tokens}"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        import torch

        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        ends = self.loaded.end_tokens
        prompts = [
            tokenizer.apply_chat_template(
                prompt.ask(text, source, target, self.markers),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                enable_thinking=False,  # a variable of templates that know of it
            )["input_ids"]
            for text in texts
        ]

        @torch.inference_mode()
        def generate(length: int, batch: list[list[int]]) -> list[str]:
            padding = [length - len(tokens) for tokens in batch]
            ids = [[tokenizer.pad_token_id] * left + tokens for tokens, left in zip(batch, padding)]
            mask = [[0] * left + [1] * len(tokens) for tokens, left in zip(batch, padding)]
            written = model.generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=self.max_new_tokens,
            )
            rows = [row if ends & set(row) else [] for row in written[:, length:].tolist()]
            return tokenizer.batch_decode(rows, skip_special_tokens=True)

        positions = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
        answers = generate_all(prompts, generate, self.rows, positions - self.max_new_tokens)
        return [prompt.read(answer, text) for answer, text in zip(answers, texts)]


class EndpointTranslator(Translator):
    """A model behind an endpoint, at temperature 0, with `concurrency` texts under way at a time.

    A text that the endpoint refuses, or that stays without an answer after all retries, has None; when that happens to
    several in a row, TranslationStopped is raised.
    """

    def __init__(self, endpoint: Endpoint, *, concurrency: int = 16, max_new_tokens: int = 512, give_up_after: int = 3):
        self.endpoint, self.name, self.max_new_tokens = endpoint, endpoint.name, max_new_tokens
        self.concurrency, self.give_up_after = concurrency, give_up_after
        self.batch_size = 4 * concurrency  # so that few places stand idle at the end of a batch

    def identity(self, source: str, target: str) -> str:
        return f"{self.name} prompt {prompt.VERSION} {self.max_new_tokens}"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        def ask(text: str) -> str:
            messages = prompt.ask(text, source, target, self.markers)
            choice = self.endpoint.chat(messages, temperature=0, max_tokens=self.max_new_tokens)
            return "" if choice.finish_reason == "length" else prompt.read(choice.message.content or "", text)

        said: dict[int, str] = {}
        try:
            for index, reply in ask_all(
                texts, ask, name=self.name, concurrency=self.concurrency, give_up_after=self.give_up_after
            ):
                if reply.said is not None:
                    said[index] = reply.said
        except ValueError as error:
            raise TranslationStopped(str(error), said) from error
        return [said.get(index) for index in range(len(texts))]
