"""A keyring says who gets in, so it is read strictly or not at all."""

import hashlib

import pytest
import rfc8785

from distribution.read_plane.keyring import Keyring, KeyringError, hash_of

from .publisher import CLIENT_KEY, ORIGIN, PRODUCTION, SERVER_KEY, STAGING, Publisher, time_text


def _signed(publisher: Publisher, body: bytes, **members: object) -> bytes:
    head = {
        "origin": publisher.origin,
        "environment": PRODUCTION,
        "version": 1,
        "created": time_text(),
        **members,
    }
    lines = "".join(f"{name} {value}\n" for name, value in head.items())
    text = f"countersign-keyring/v1\n{lines}body sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
    return publisher.sign(text.encode(), body)


def _entry(**members: object) -> dict[str, object]:
    return {"hash": hash_of("x"), "id": "k", "side": "server", **members}


def test_a_signed_keyring_is_read(publisher):
    raw = publisher.keyring(7)
    keyring = Keyring.parse(raw, verify=[publisher.vkey], environment=PRODUCTION)
    assert (keyring.origin, keyring.environment, keyring.version, keyring.raw) == (ORIGIN, PRODUCTION, 7, raw)
    assert keyring.keys[hash_of(SERVER_KEY)].side == "server"
    assert keyring.keys[hash_of(CLIENT_KEY)].id == "key-2"


def test_allowed_origins_are_read_and_a_keyring_without_them_still_is(publisher):
    raw = publisher.keyring(origins={"key-2": ["https://b.example", "https://a.example"]})
    keys = Keyring.parse(raw, verify=[publisher.vkey]).keys
    assert keys[hash_of(CLIENT_KEY)].origins == {"https://a.example", "https://b.example"}
    assert keys[hash_of(SERVER_KEY)].origins == frozenset()
    older = _signed(publisher, rfc8785.dumps({"keys": [_entry(side="client")]}) + b"\n")
    assert Keyring.parse(older, verify=[publisher.vkey]).keys[hash_of("x")].origins == frozenset()


def test_it_holds_no_key_in_the_clear(publisher):
    raw = publisher.keyring()
    assert SERVER_KEY.encode() not in raw
    assert hashlib.sha256(SERVER_KEY.encode()).hexdigest().encode() in raw


def test_an_empty_keyring_is_a_keyring(publisher):
    assert Keyring.parse(publisher.keyring(keys=[]), verify=[publisher.vkey]).keys == {}


def test_it_is_never_read_without_a_key_to_verify_it(publisher):
    with pytest.raises(KeyringError, match="no verifier key"):
        Keyring.parse(publisher.keyring(), verify=[])


def test_a_foreign_signature_is_refused(publisher):
    with pytest.raises(KeyringError, match="signature"):
        Keyring.parse(Publisher().keyring(), verify=[publisher.vkey])


def test_a_key_trusted_for_another_origin_does_not_speak_for_this_one(publisher):
    other = Publisher(origin="other.example.com")
    raw = _signed(other, rfc8785.dumps({"keys": []}) + b"\n", origin=ORIGIN)
    with pytest.raises(KeyringError, match="signature"):
        Keyring.parse(raw, verify=[publisher.vkey, other.vkey])


def test_during_rotation_either_key_will_do(publisher):
    following = Publisher()
    for signer in (publisher, following):
        assert Keyring.parse(signer.keyring(), verify=[publisher.vkey, following.vkey]).version == 1


def test_another_environment_is_refused(publisher):
    with pytest.raises(KeyringError, match="environment: is shop/staging"):
        Keyring.parse(publisher.keyring(environment=STAGING), verify=[publisher.vkey], environment=PRODUCTION)


def test_every_flipped_byte_is_refused(publisher):
    raw = publisher.keyring()
    for position in range(len(raw)):
        damaged = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(KeyringError):
            Keyring.parse(damaged, verify=[publisher.vkey])


def test_every_truncation_is_refused(publisher):
    raw = publisher.keyring()
    for length in range(len(raw)):
        with pytest.raises(KeyringError):
            Keyring.parse(raw[:length], verify=[publisher.vkey])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"keys": []}\n', "canonical"),
        (b'{"keys":[]}', "canonical"),
        (b'{"keys":[],"keys":[]}\n', "canonical"),
        (b'{"keys":{}}x\n', "not a keyring"),
        (b"[]\n", "not a keyring"),
        (b"[" * 100_000 + b"\n", "not a keyring"),
        (b"\xff\n", "not a keyring"),
        (rfc8785.dumps({"keys": [_entry(hash="AB")]}) + b"\n", "hash"),
        (rfc8785.dumps({"keys": [_entry(side="root")]}) + b"\n", "side"),
        (rfc8785.dumps({"keys": [_entry(id="")]}) + b"\n", "id"),
        (rfc8785.dumps({"keys": [_entry(), _entry()]}) + b"\n", "twice"),
        (rfc8785.dumps({"keys": [_entry(side="client", origins="*")]}) + b"\n", "origins"),
        (rfc8785.dumps({"keys": [_entry(side="client", origins=[""])]}) + b"\n", "origins"),
        (rfc8785.dumps({"keys": [_entry(side="client", origins=[1])]}) + b"\n", "origins"),
        (rfc8785.dumps({"keys": [_entry(side="server", origins=["*"])]}) + b"\n", "origins"),
        (rfc8785.dumps({"keys": ["k"]}) + b"\n", "not a keyring"),
        (rfc8785.dumps({"keys": [{"hash": hash_of("x")}]}) + b"\n", "not a keyring"),
    ],
)
def test_a_signed_but_wrong_body_is_refused(publisher, body, reason):
    with pytest.raises(KeyringError, match=reason):
        Keyring.parse(_signed(publisher, body), verify=[publisher.vkey])


@pytest.mark.parametrize(
    "members",
    [{"version": 0}, {"version": "01"}, {"created": "yesterday"}, {"environment": "shop"}, {"ledger": "1"}],
)
def test_a_signed_but_wrong_text_is_refused(publisher, members):
    with pytest.raises(KeyringError, match="six lines"):
        Keyring.parse(_signed(publisher, b'{"keys":[]}\n', **members), verify=[publisher.vkey])
