"""The reader of yes and no stands in skymm.verdict; this is its old address."""

from skymm.verdict import yes_no

__all__ = ["yes_no"]
