"""skymm: multimodal LLMs that see, and say so when there is nothing to see."""
