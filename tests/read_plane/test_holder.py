"""The holder takes what is newer and right, and keeps what it has."""

import pytest

from distribution.read_plane.holder import DocumentRefusedError, Holder
from distribution.read_plane.keyring import hash_of

from .publisher import CLIENT_KEY, ORIGIN, PRODUCTION, SERVER_KEY, STAGING, Publisher


def _take(holder: Holder, kind: str, raw: bytes, environment: str = PRODUCTION) -> bool:
    return holder.accept(environment, kind, raw, source="test")


@pytest.mark.parametrize("verify", [[], ["garbled"], [Publisher(origin="other.example.com").vkey]])
def test_it_does_not_exist_without_a_verifier_key(verify):
    with pytest.raises(ValueError, match="verifier key"):
        Holder(origin=ORIGIN, verify=verify)


@pytest.mark.parametrize("kind", ["snapshot", "keyring"])
class TestBothDocuments:
    def test_newer_is_taken_and_versions_may_be_skipped(self, holder, publisher, kind):
        assert _take(holder, kind, getattr(publisher, kind)(3))
        assert _take(holder, kind, getattr(publisher, kind)(9))
        assert holder.version(PRODUCTION, kind) == 9

    def test_the_same_again_changes_nothing(self, holder, publisher, kind):
        raw = getattr(publisher, kind)(3)
        _take(holder, kind, raw)
        held = holder.document(PRODUCTION, kind)
        assert not _take(holder, kind, raw)
        assert holder.document(PRODUCTION, kind) is held

    def test_older_is_refused(self, holder, publisher, kind):
        _take(holder, kind, getattr(publisher, kind)(3))
        with pytest.raises(DocumentRefusedError, match="2 is older than 3"):
            _take(holder, kind, getattr(publisher, kind)(2))
        assert holder.version(PRODUCTION, kind) == 3

    def test_the_same_version_with_another_body_is_refused(self, holder, publisher, kind):
        _take(holder, kind, getattr(publisher, kind)(3))
        other = {"snapshot": {"flags": {}}, "keyring": {"keys": []}}[kind]
        with pytest.raises(DocumentRefusedError, match="another body"):
            _take(holder, kind, getattr(publisher, kind)(3, **other))

    def test_a_foreign_signature_is_refused_and_remembered(self, holder, publisher, kind):
        _take(holder, kind, getattr(publisher, kind)(3))
        with pytest.raises(DocumentRefusedError):
            _take(holder, kind, getattr(Publisher(), kind)(4))
        held = holder.environments()[PRODUCTION]
        assert held.refusal.kind == kind
        assert held.refusal.source == "test"
        assert holder.version(PRODUCTION, kind) == 3
        _take(holder, kind, getattr(publisher, kind)(4))
        assert holder.environments()[PRODUCTION].refusal is None

    def test_another_environment_s_document_is_refused(self, holder, publisher, kind):
        with pytest.raises(DocumentRefusedError):
            _take(holder, kind, getattr(publisher, kind)(3), STAGING)
        assert holder.version(STAGING, kind) == 0

    def test_another_origin_is_refused_even_when_its_key_is_trusted(self, publisher, kind):
        other = Publisher(origin="other.example.com")
        holder = Holder(origin=ORIGIN, verify=[publisher.vkey, other.vkey])
        with pytest.raises(DocumentRefusedError, match=r"origin: is other\.example\.com"):
            _take(holder, kind, getattr(other, kind)(3))

    def test_damage_is_refused(self, holder, publisher, kind):
        raw = getattr(publisher, kind)(3)
        for damaged in (b"", b"\n\n\n\n", raw[:-1], raw + b" ", raw.replace(b"version 3", b"version 4")):
            with pytest.raises(DocumentRefusedError):
                _take(holder, kind, damaged)
        assert holder.version(PRODUCTION, kind) == 0


def test_a_refusal_is_forgotten_with_a_newer_document_of_its_kind_only(holder, publisher):
    with pytest.raises(DocumentRefusedError):
        _take(holder, "snapshot", Publisher().snapshot(4))
    _take(holder, "keyring", publisher.keyring())
    assert holder.environments()[PRODUCTION].refusal.kind == "snapshot"
    _take(holder, "snapshot", publisher.snapshot(4))
    assert holder.environments()[PRODUCTION].refusal is None


def test_a_key_finds_its_environment(holder, publisher):
    _take(holder, "keyring", publisher.keyring())
    _take(
        holder,
        "keyring",
        publisher.keyring(environment=STAGING, keys=[(hash_of("abc"), "k9", "server")]),
        STAGING,
    )
    assert holder.find_key(SERVER_KEY)[0].environment == PRODUCTION
    assert holder.find_key(CLIENT_KEY)[0].side == "client"
    assert holder.find_key("abc")[0].environment == STAGING
    assert holder.find_key("abcd") is None


def test_a_key_found_before_its_snapshot_has_none(holder, publisher):
    _take(holder, "keyring", publisher.keyring())
    assert holder.find_key(SERVER_KEY)[1] is None
    _take(holder, "snapshot", publisher.snapshot(4))
    assert holder.find_key(SERVER_KEY)[1].version == 4


def test_a_key_in_two_environments_opens_neither(holder, publisher):
    _take(holder, "keyring", publisher.keyring())
    _take(holder, "keyring", publisher.keyring(environment=STAGING), STAGING)
    assert holder.find_key(SERVER_KEY) is None
    _take(holder, "keyring", publisher.keyring(2, environment=STAGING, keys=[]), STAGING)
    assert holder.find_key(SERVER_KEY)[0].environment == PRODUCTION


def test_a_reader_s_view_never_changes_under_it(holder, publisher):
    _take(holder, "snapshot", publisher.snapshot(1))
    before = holder.environments()
    _take(holder, "snapshot", publisher.snapshot(2))
    assert before[PRODUCTION].snapshot.version == 1
    assert holder.environments()[PRODUCTION].snapshot.version == 2
