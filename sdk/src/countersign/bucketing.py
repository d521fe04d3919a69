"""Splits: which slice a context's bucketing value falls into (section 4 of the evaluation page).

Integer arithmetic only. These functions never change, because a change would move people between variants;
a different formula gets a different name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container
from dataclasses import dataclass
from hashlib import md5, sha1
from itertools import accumulate
from sys import intern
from typing import Generic, TypeVar

from countersign.context import Context, bucketing_value
from countersign.members import DocumentError, Members, integer, shown
from countersign.murmur3 import murmur3

LARGEST_TOTAL = 2**31 - 1
MOST_REMEMBERED = 5
"""Texts whose slice a split remembers: as many as the smallest dict holds."""
LONGEST_REMEMBERED = 128
"""Characters of such a text."""

T = TypeVar("T")

Slicer = Callable[[str], int]
"""From a bucketing value to the index of its slice; UnicodeEncodeError for a lone surrogate."""


def _murmur3(seed: str, cumulative: list[int]) -> Slicer:
    prefix, bounds = f"{seed}.".encode(), _hash_bounds(cumulative)
    return lambda value: bisect_right(bounds, murmur3(prefix + value.encode(), 0, False))


def _murmur3_cbor(seed: str, cumulative: list[int]) -> Slicer:
    prefix, bounds = f"{seed}.".encode(), _hash_bounds(cumulative)

    def slice_of(value: str) -> int:
        text = prefix + value.encode()
        return bisect_right(bounds, murmur3(_cbor_text_head(len(text)) + text, 0, False))

    return slice_of


def _hash_bounds(cumulative: list[int]) -> list[int]:
    """For each slice the first hash beyond it, where bucket = (hash * total) >> 32.

    The bucket is below a cumulative weight exactly where hash * total is below that weight * 2^32. So the
    hash is compared as it comes, and the multiplication is done once a slice instead of once a call.
    """
    total = cumulative[-1]
    return [-((weight << 32) // -total) for weight in cumulative]  # rounded up


def _cbor_text_head(length: int) -> bytes:
    """The head of a CBOR text string of so many bytes, in its shortest form (RFC 8949, section 3)."""
    if length < 24:
        return bytes((0x60 + length,))
    for code, width in ((0x78, 1), (0x79, 2), (0x7A, 4)):
        if length < 1 << 8 * width:
            return bytes((code,)) + length.to_bytes(width, "big")
    return b"\x7b" + length.to_bytes(8, "big")


def _unleash(hash_seed: int) -> Callable[[str, list[int]], Slicer]:
    def slicer(seed: str, cumulative: list[int]) -> Slicer:
        prefix, total = f"{seed}:".encode(), cumulative[-1]
        return lambda value: bisect_right(
            cumulative, murmur3(prefix + value.encode(), hash_seed, False) % total
        )

    return slicer


def _flagsmith(seed: str, cumulative: list[int]) -> Slicer:
    prefix, total = seed.encode(), cumulative[-1]
    scaled = [weight * 9998 for weight in cumulative]

    def slice_of(value: str) -> int:
        once = prefix + value.encode()
        text = once
        while (number := int.from_bytes(md5(text, usedforsecurity=False).digest(), "big") % 9999) == 9998:
            text += b"," + once
        return bisect_right(scaled, number * total)

    return slice_of


def _launchdarkly(seed: str, cumulative: list[int]) -> Slicer:
    prefix, total = f"{seed}.".encode(), cumulative[-1]
    largest = 16**15 - 1
    scaled = [weight * largest for weight in cumulative]

    def slice_of(value: str) -> int:
        digest = sha1(prefix + value.encode(), usedforsecurity=False).hexdigest()
        return bisect_right(scaled, min(int(digest[:15], 16), largest - 1) * total)

    return slice_of


HASHES: dict[str, Callable[[str, list[int]], Slicer]] = {
    "murmur3": _murmur3,
    "murmur3-cbor": _murmur3_cbor,
    "unleash": _unleash(0),
    "unleash-variant": _unleash(86028157),
    "flagsmith": _flagsmith,
    "launchdarkly": _launchdarkly,
}


@dataclass(frozen=True, slots=True)
class Dealer(Generic[T]):
    """What deals by a text: ``deal`` answers, and ``known`` has the answers of a few texts already.

    A request asks about one unit several times, so what is asked about twice in a row is remembered.
    """

    known: dict[str | None, T]
    deal: Callable[[str, Context], T]


@dataclass(frozen=True)
class Split:
    """A split that was read: the variant (or null) of each slice, and the way to a slice."""

    by: str
    variants: tuple[str | None, ...]
    slice_of: Slicer
    halves: tuple[bytes, int] | None
    """Of a murmur3 split in two: what its hash begins with, and the first hash beyond the first slice."""

    def dealer(self, by_slice: tuple[T, ...], unbucketed: T) -> Dealer[T]:
        """What answers the member of ``by_slice`` at the place of a text's slice.

        ``unbucketed``: the answer for a text that buckets nothing.
        """
        known: dict[str | None, T] = {}
        if self.halves is not None:
            first, second = by_slice
            return Dealer(known, _half_dealer(*self.halves, first, second, unbucketed, known))
        slice_of, last = self.slice_of, ""

        def deal(text: str, context: Context) -> T:
            nonlocal last
            if not text:
                return unbucketed
            try:
                answer = by_slice[slice_of(text)]
            except UnicodeEncodeError:  # a lone surrogate buckets nothing
                return unbucketed
            if len(text) <= LONGEST_REMEMBERED:
                if text == last:
                    _remember(known, text, answer)
                last = text
            return answer

        return Dealer(known, deal)

    def chooser(self, dealer: Dealer[T], unbucketed: T) -> Callable[[Context, object], T]:
        """What answers for a context, as ``dealer`` does for a text. Its second argument changes nothing.

        ``unbucketed``: the answer for a context without a bucketing value.
        """
        by, known, deal = self.by, dealer.known, dealer.deal

        def choose(context: Context, region: object) -> T:
            value = context.get(by)
            if type(value) is not str:
                value = bucketing_value(value)
                if value is None:
                    return unbucketed
            answer = known.get(value)
            return deal(value, context) if answer is None else answer

        return choose


def _half_dealer(
    prefix: bytes, bound: int, first: T, second: T, unbucketed: T, known: dict[str | None, T]
) -> Callable[[str, Context], T]:
    """As in ``Split.dealer``, for the most usual split: one call and one search less, a fifth of its time."""
    last = ""

    def deal(text: str, context: Context) -> T:
        nonlocal last
        if not text:
            return unbucketed
        try:
            answer = first if murmur3(prefix + text.encode(), 0, False) < bound else second
        except UnicodeEncodeError:  # a lone surrogate buckets nothing
            return unbucketed
        if len(text) <= LONGEST_REMEMBERED:
            if text == last:
                _remember(known, text, answer)
            last = text
        return answer

    return deal


def _remember(known: dict[str | None, T], text: str, answer: T) -> None:
    """Single steps that threads may mix: a text more or less is remembered, and never with another's answer."""
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[text] = answer


def read_serve(
    value: object, at: str, *, flag_key: str, variants: Container[str], nulls: bool, strict: bool
) -> str | Split:
    """Reads ``serve`` or ``default``: a variant's name, or a split. ``nulls``: null slices are allowed."""
    members = Members(value, at, frozenset({"variant", "split"}), strict=strict)
    if members.has("variant") == members.has("split"):
        raise DocumentError(at, 'needs either "variant" or "split"')
    if members.has("variant"):
        variant = members.text("variant")
        if variant not in variants:
            raise DocumentError(members.path("variant"), f"{shown(variant)} is no variant of this flag")
        return variant
    return _read_split(
        members.take("split"),
        members.path("split"),
        flag_key=flag_key,
        variants=variants,
        nulls=nulls,
        strict=strict,
    )


def _read_split(
    value: object, at: str, *, flag_key: str, variants: Container[str], nulls: bool, strict: bool
) -> Split:
    members = Members(value, at, frozenset({"by", "seed", "hash", "weights"}), strict=strict)
    slices: list[str | None] = []
    weights: list[int] = []
    for position, pair in enumerate(members.sequence("weights")):
        here = f"{members.path('weights')}[{position}]"
        if type(pair) is not list or len(pair) != 2:
            raise DocumentError(here, f"is {shown(pair)}, not [variant or null, weight]")
        variant, weight = pair[0], integer(pair[1])
        if variant is None and not nulls:
            raise DocumentError(here, "is null, which a default cannot serve; name a variant")
        if variant is not None and (type(variant) is not str or variant not in variants):
            raise DocumentError(here, f"{shown(variant)} is no variant of this flag")
        if weight is None or weight < 0:
            raise DocumentError(here, f"weight {shown(pair[1])} is not an integer of 0 or more")
        slices.append(variant)
        weights.append(weight)
    total = sum(weights)
    if not 0 < total <= LARGEST_TOTAL:
        raise DocumentError(
            members.path("weights"), f"total is {total}" + (f", above {LARGEST_TOTAL}" if total else "")
        )
    # The defaults are the readers'; writers write all three, so that nobody has to know them.
    by = intern(members.text("by", *(() if strict else ("targetingKey",))))
    seed = members.text("seed", *(() if strict else (flag_key,)), empty=True)
    name = members.text("hash", *(() if strict else ("murmur3",)))
    if name not in HASHES:
        known = ", ".join(HASHES)
        raise DocumentError(members.path("hash"), f"{shown(name)} is not known; known are {known}")
    cumulative = list(accumulate(weights))
    try:
        slice_of = HASHES[name](seed, cumulative)
    except UnicodeEncodeError:
        raise DocumentError(members.path("seed"), "holds a lone surrogate, which has no UTF-8 form") from None
    halves = None
    if name == "murmur3" and len(slices) == 2:
        halves = f"{seed}.".encode(), _hash_bounds(cumulative)[0]
    return Split(by, tuple(slices), slice_of, halves)
