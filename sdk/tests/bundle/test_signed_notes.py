"""Signed notes (section 2)."""

from __future__ import annotations

import pytest
from bundle_writer import Key, b64, note

from countersign.notes import NoteError, VerifierKey, decode_base64, open_note, read_note

LOG = Key("flags.example.com/ledger", 1)
WITNESS = Key("witness.example.org/w1", 2, kind=4)
OTHER = Key("other.example.com", 3)
TEXT = "flags.example.com/ledger\n3\nAAAA\n"


def key(signer: Key) -> VerifierKey:
    return VerifierKey.parse(signer.vkey)


def test_a_verifier_key_reads_and_writes_the_same_text() -> None:
    for signer in (LOG, WITNESS):
        assert str(key(signer)) == signer.vkey
        assert key(signer).type == signer.kind


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        f"+{LOG.id.hex()}+{b64(LOG.public)}",
        f"a b+{LOG.id.hex()}+{b64(LOG.public)}",
        f"a\u00a0b+{LOG.id.hex()}+{b64(LOG.public)}",
        f"\ud800+{LOG.id.hex()}+{b64(LOG.public)}",
        f"{LOG.name}+00000000+{b64(LOG.public)}",
        f"{LOG.name}+{LOG.id.hex().upper()}x+{b64(LOG.public)}",
        f"{LOG.name}+{LOG.id.hex()}+{b64(LOG.public)[:-1]}",
        f"{LOG.name}+{LOG.id.hex()}+{b64(LOG.public[:-1])}",
        f"{LOG.name}+{LOG.id.hex()}+{b64(bytes([2]) + LOG.public[1:])}",
        f"{LOG.name}+{LOG.id.hex()}+",
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(vkey)


def test_a_note_names_the_keys_that_signed_and_when_a_witness_did() -> None:
    opened = open_note(note(TEXT, LOG, WITNESS).encode(), [key(LOG), key(WITNESS)])
    assert opened.text == TEXT
    assert [(signer.key.name, signer.timestamp) for signer in opened.signers] == [
        (LOG.name, None),
        (WITNESS.name, 1_767_700_054),
    ]


def test_signatures_by_unknown_keys_are_ignored() -> None:
    opened = open_note(note(TEXT, OTHER, LOG).encode(), [key(LOG)])
    assert [signer.key.name for signer in opened.signers] == [LOG.name]
    assert len(opened.signatures) == 2


def test_a_key_that_signs_twice_is_one_signer() -> None:
    assert len(open_note(note(TEXT, LOG, LOG).encode(), [key(LOG)]).signers) == 1


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    with pytest.raises(NoteError, match="not signed by a known key"):
        open_note(note(TEXT, OTHER).encode(), [key(LOG)])


def test_a_known_key_that_does_not_verify_spoils_the_note_even_beside_a_good_one() -> None:
    forged = note(TEXT, LOG) + WITNESS.line("another text\n")
    with pytest.raises(NoteError, match="does not verify"):
        open_note(forged.encode(), [key(LOG), key(WITNESS)])


def test_a_cosignature_covers_its_time() -> None:
    line = WITNESS.line(TEXT)
    raw = bytearray(decode_base64(line.split(" ")[2].strip()))
    raw[11] ^= 1  # the last byte of the time
    changed = f"{TEXT}\n— {WITNESS.name} {b64(bytes(raw))}\n"
    with pytest.raises(NoteError, match="does not verify"):
        open_note(changed.encode(), [key(WITNESS)])


def test_a_signature_of_the_wrong_length_is_refused() -> None:
    for signer in (LOG, WITNESS):
        short = f"{TEXT}\n— {signer.name} {b64(signer.id + bytes(63))}\n"
        with pytest.raises(NoteError, match="does not verify"):
            open_note(short.encode(), [key(signer)])


def test_the_text_ends_at_the_last_empty_line() -> None:
    assert open_note(note("a\n\nb\n", LOG).encode(), [key(LOG)]).text == "a\n\nb\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        note(TEXT, LOG).encode()[:-1],
        note(TEXT, LOG).encode() + b"\n",
        note(TEXT, LOG).encode() + b"x\n",
        note(TEXT, LOG).replace("—", "-").encode(),
        note(TEXT, LOG).replace("— ", "—  ").encode(),
        note(TEXT, LOG).replace("\n", "\r\n").encode(),
        note("a\tb\n", LOG).encode(),
        note("a\x00b\n", LOG).encode(),
        b"\xef\xbb\xbf" + note(TEXT, LOG).encode(),
        b"\xff" + note(TEXT, LOG).encode(),
        f"{TEXT}\n— {LOG.name}\n".encode(),
        f"{TEXT}\n— {LOG.name} AAA=\n".encode(),
        f"{TEXT}\n— {LOG.name} AAAAAA==\n".encode(),
        f"{TEXT}\n— {LOG.name} AAAAAAB=\n".encode(),
        f"{TEXT}\n— a+b AAAAAAA=\n".encode(),
        note(TEXT, *[LOG] * 65).encode(),
    ],
)
def test_a_malformed_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        read_note(data)


def test_no_byte_of_a_note_can_be_changed() -> None:
    data = note(TEXT, LOG).encode()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(NoteError):
            open_note(bytes(changed), [key(LOG)])


def test_two_keys_with_the_same_name_and_id_are_not_chosen_between() -> None:
    twin = VerifierKey(LOG.name, LOG.id, 1, bytes(32))
    with pytest.raises(NoteError, match="same key id"):
        open_note(note(TEXT, LOG).encode(), [key(LOG), twin])
