"""Tells transformers about SkyMM, without importing transformers before anybody else does.

Importing torch and transformers takes seconds, and `skymm --help` should not. transformers has no list of plug-ins to be on,
so a finder at the front of `sys.meta_path` waits for four of its modules and registers right after each is loaded. That is
the one thing that `import skymm` changes: the finder looks at names, and loads nothing that nobody asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_OURS = "skymm.model."


def _config(auto: Any) -> None:
    from skymm.model.configuration import SkyMMConfig

    auto.AutoConfig.register(SkyMMConfig.model_type, SkyMMConfig, exist_ok=True)


def _model(auto: Any) -> None:
    from skymm.model.configuration import SkyMMConfig
    from skymm.model.modeling import SkyMMForConditionalGeneration

    # The last is the one that TRL opens reference models with.
    for name in ("AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoModelForCausalLM"):
        if hasattr(auto, name):
            getattr(auto, name).register(SkyMMConfig, SkyMMForConditionalGeneration, exist_ok=True)


def _processor(auto: Any) -> None:
    from skymm.model.configuration import SkyMMConfig
    from skymm.model.processing import SkyMMProcessor

    auto.AutoProcessor.register(SkyMMConfig, SkyMMProcessor, exist_ok=True)


def _pipeline(pipelines: Any) -> None:
    from skymm.model.processing import opening_pipeline

    task = pipelines.PIPELINE_REGISTRY.supported_tasks["image-text-to-text"]
    task["impl"] = opening_pipeline(pipelines.ImageTextToTextPipeline)


_REGISTER = {
    "transformers.models.auto.configuration_auto": _config,
    "transformers.models.auto.modeling_auto": _model,
    "transformers.models.auto.processing_auto": _processor,
    "transformers.pipelines": _pipeline,
}


def register_when_transformers_is_loaded() -> None:
    """Registers at once with the modules that are loaded, and with the others when they are."""
    for name, register in _REGISTER.items():
        if name in sys.modules:
            register(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds nothing itself: it lets the others find a module of `_REGISTER` or of ours, and adds a step after its loading."""

    def __init__(self) -> None:
        self.num_loading = 0  # of ours, one inside another
        self.waiting: list[ModuleType] = []

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _REGISTER and not name.startswith(_OURS):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module = partial(self.load, spec.loader.exec_module)
                return spec
        return None

    def load(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        ours = module.__name__.startswith(_OURS)
        self.num_loading += ours
        try:
            execute(module)
        finally:
            self.num_loading -= ours
        if not ours:
            self.waiting.append(module)
        # Ours import transformers, and while one of them is half-way the classes may not be there yet.
        while self.waiting and not self.num_loading:
            registered = self.waiting.pop()
            _REGISTER[registered.__name__](registered)
