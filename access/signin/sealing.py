"""Secrets that we must be able to read again (a provider's client secret), encrypted at rest.

The key is derived from `SECRET_KEY`, which no backup of the database holds. While it rotates, the old one stands in
`SECRET_KEY_FALLBACKS` and still opens; `manage.py reseal_secrets` then writes everything with the new one.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SealError(Exception):
    """A stored secret cannot be opened with any key that is known here."""


def seal(secret: str) -> str:
    """The secret, encrypted with the present key."""
    return _keys().encrypt(secret.encode()).decode("ascii")


def unseal(sealed: str) -> str:
    """The secret again. Raises `SealError`."""
    try:
        return _keys().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealError(
            "The stored secret was encrypted with a key that is gone: enter the secret again, or put the former "
            "SECRET_KEY into SECRET_KEY_FALLBACKS."
        ) from error


def resealed(sealed: str) -> str:
    """The same secret, encrypted with the present key. Raises `SealError`."""
    return seal(unseal(sealed))


def _keys() -> MultiFernet:
    return MultiFernet(
        [Fernet(_derived(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    )


def _derived(key: str) -> bytes:
    """32 bytes for Fernet, for this purpose alone (HKDF-SHA256, RFC 5869)."""
    raw = HKDF(SHA256(), 32, salt=None, info=b"countersign: secrets at rest").derive(key.encode())
    return base64.urlsafe_b64encode(raw)
