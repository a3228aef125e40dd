"""Captions and conversations in the other language: what may not change is protected, what came out is checked."""
