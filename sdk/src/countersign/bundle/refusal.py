"""How a bundle is refused: one line that names the file, the place in it and the rule."""

from __future__ import annotations

MAX_REASON = 400


class RuleError(ValueError):
    """A rule of the specification does not hold. The text names the rule; the caller knows the place."""


class BundleError(ValueError):
    """The bundle is refused as a whole. Its text is one line of printable ASCII."""

    def __init__(self, place: str, reason: object) -> None:
        super().__init__(one_line(f"{place}: {reason}"))


def one_line(text: str) -> str:
    """``text`` as at most ``MAX_REASON`` printable ASCII characters, others escaped.

    Reasons and reports quote what a hostile bundle contains, and are printed on terminals and kept in logs.
    """
    escaped = "".join(
        character if " " <= character <= "~" else ascii(character)[1:-1] for character in text[:MAX_REASON]
    )
    return escaped if len(text) <= MAX_REASON and len(escaped) <= MAX_REASON else escaped[:MAX_REASON] + "..."


def entry_place(index: int, first: int) -> str:
    """Where entry ``index`` of the log stands in a bundle that starts at entry ``first``."""
    return f"entries.ndjson line {index - first + 1} (index {index})"
