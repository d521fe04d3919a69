"""Freezes: times in which nothing is applied. When they are, what they cover, and the verbs that plan them."""

from approvals.freezes.covering import HORIZON, Frozen, Reached, exempted, freezing, next_open_slot
from approvals.freezes.planning import lift_freeze, save_freeze
from approvals.freezes.times import Window, windows

__all__ = [
    "HORIZON",
    "Frozen",
    "Reached",
    "Window",
    "exempted",
    "freezing",
    "lift_freeze",
    "next_open_slot",
    "save_freeze",
    "windows",
]
