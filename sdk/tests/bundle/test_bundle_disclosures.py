"""Personal data and what opens it (section 6, step 6)."""

from __future__ import annotations

from typing import Any

import pytest
from bundle_writer import ON, Ledger, b64u, salted

SALT, CLOSED = salted("name", "Alice")
IP_SALT, IP_CLOSED = salted("ip", "192.0.2.7")
NAME = {"index": 1, "name": "name", "salt": SALT, "value": "Alice"}
IP = {"index": 1, "name": "ip", "salt": IP_SALT, "value": "192.0.2.7"}


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.document(None, ON, personal={"name": CLOSED, "ip": IP_CLOSED})
    return ledger


@pytest.mark.parametrize(
    ("disclosures", "disclosed", "erased"), [(None, 0, 2), ([], 0, 2), ([IP], 1, 1), ([IP, NAME], 2, 0)]
)
def test_what_is_not_disclosed_counts_as_erased(
    accept, ledger: Ledger, disclosures: Any, disclosed: int, erased: int
) -> None:
    report = accept(ledger, disclosures=disclosures)
    assert (report.disclosed, report.erased) == (disclosed, erased)


def test_a_value_disclosed_twice_is_refused(refuse, ledger: Ledger) -> None:
    refuse(ledger, "disclosures.ndjson line 2: ", disclosures=[NAME, NAME])


@pytest.mark.parametrize(
    "members",
    [
        {"value": "Bob"},
        {"value": None},
        {"salt": IP_SALT},
        {"name": "ip"},
        {"name": "email"},
        {"name": 1},
        {"index": 0},
        {"index": 2},
        {"index": -1},
        {"index": True},
        {"index": "1"},
        {"salt": b64u(bytes(15))},
        {"salt": SALT + "="},
        {"salt": 1},
        {"more": 1},
    ],
)
def test_a_disclosure_that_opens_nothing_is_refused(refuse, ledger: Ledger, members: dict[str, Any]) -> None:
    refuse(ledger, "disclosures.ndjson line 1: ", disclosures=[{**NAME, **members}])


@pytest.mark.parametrize("raw", [b"{}\n", b"\n", b"[]\n", b"{\n", b"\xff\n", b"[" * 5000, b"x" * 2_000_000])
def test_a_line_that_is_no_disclosure_is_refused(refuse, ledger: Ledger, raw: bytes) -> None:
    refuse(ledger, "disclosures.ndjson line 1", extra={"disclosures.ndjson": raw})


def test_nothing_is_disclosed_of_a_withheld_entry(refuse, ledger: Ledger) -> None:
    refuse(ledger, "no such digest", disclosures=[NAME], withheld=[1], policy={"max_withheld": 1})


@pytest.mark.parametrize(
    "personal", [[], None, {"name": "Alice"}, {"name": 1}, {"name": b64u(bytes(31))}, {"name": CLOSED + "="}]
)
def test_personal_data_in_clear_or_of_another_form_is_refused(refuse, personal: Any) -> None:
    ledger = Ledger()
    ledger.document(None, ON, personal=personal)
    refuse(ledger, "personal")


def test_a_long_value_may_be_disclosed(accept) -> None:
    ledger = Ledger()
    value = "long " * 20_000
    salt, closed = salted("name", value)
    ledger.document(None, ON, personal={"name": closed})
    assert accept(ledger, disclosures=[{**NAME, "salt": salt, "value": value}]).disclosed == 1
