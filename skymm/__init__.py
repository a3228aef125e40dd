"""skymm: multimodal LLMs that see, and say so when there is nothing to see.

After `import skymm`, `AutoModelForImageTextToText`, `AutoProcessor` and `pipeline("image-text-to-text")` of transformers know
its models. The import itself is instant: nothing of torch or transformers is loaded before it is used.
"""

from skymm import _auto

__version__ = "0.1.0"
_auto.register_when_transformers_is_loaded()
