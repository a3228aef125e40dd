"""Tells transformers' Auto classes about SkyMM, without importing transformers before anybody else does.

Importing torch and transformers takes seconds, and `skymm --help` should not. So when transformers is not loaded yet, a
finder at the front of `sys.meta_path` waits for its modules of Auto classes and registers right after each is loaded.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PREFIX = "transformers.models.auto."


def _config(auto: Any) -> None:
    from skymm.model.configuration import SkyMMConfig

    auto.AutoConfig.register(SkyMMConfig.model_type, SkyMMConfig, exist_ok=True)


def _model(auto: Any) -> None:
    from skymm.model.configuration import SkyMMConfig
    from skymm.model.modeling import SkyMMForConditionalGeneration

    for name in ("AutoModelForImageTextToText", "AutoModelForMultimodalLM"):
        if hasattr(auto, name):
            getattr(auto, name).register(SkyMMConfig, SkyMMForConditionalGeneration, exist_ok=True)


def _processor(auto: Any) -> None:
    from skymm.model.configuration import SkyMMConfig
    from skymm.model.processing import SkyMMProcessor

    auto.AutoProcessor.register(SkyMMConfig, SkyMMProcessor, exist_ok=True)


_REGISTER = {
    f"{_PREFIX}configuration_auto": _config,
    f"{_PREFIX}modeling_auto": _model,
    f"{_PREFIX}processing_auto": _processor,
}


def register_when_transformers_is_loaded() -> None:
    """Registers at once with the Auto modules that are loaded, and with the others when they are."""
    for name, register in _REGISTER.items():
        if name in sys.modules:
            register(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds nothing itself: it lets the others find one of our modules, and adds a step after its loading."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _REGISTER:
            return None
        for finder in sys.meta_path:
            spec = None if isinstance(finder, _Finder) else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, _REGISTER[name])
                return spec
        return None


class _Loader:
    def __init__(self, loader: Any, register: Any):
        self._loader, self._register = loader, register

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._register(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
