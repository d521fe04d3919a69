"""The one address that configures a client whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from countersign.members import KEY_PATTERN
from countersign.notes import NoteError, VerifierKey

_FORM = "https://<sdk key>@<host>/<project>/<environment>?verify=<verifier key, percent-encoded>"


_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_SDK_KEY = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")
"""What a bearer token may be written with (RFC 6750, section 2.1)."""


class DsnError(ValueError):
    """A DSN was refused. The message never holds the SDK key."""


@dataclass(frozen=True)
class Dsn:
    """A DSN that was read. ``environment`` is ``project/environment``, ``verify`` the verifier keys."""

    secure: bool
    host: str
    port: int | None
    environment: str
    verify: tuple[str, ...]
    sdk_key: str = field(repr=False)

    @property
    def address(self) -> str:
        """Where the client fetches from, without the key: fit for logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}" + (f":{self.port}" if self.port else "")


def read_dsn(text: str) -> Dsn:
    """Reads ``https://<sdk key>@host/<project>/<environment>?verify=<vkey, percent-encoded>``.

    ``verify`` may be repeated while keys rotate, and left out (then nothing is verified). Raises DsnError.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise DsnError(f"DSN's host or port cannot be read; it has the form {_FORM}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DsnError(f"DSN is not an http(s) address; it has the form {_FORM}")
    sdk_key = unquote(parts.username or "")
    if not _SDK_KEY.fullmatch(sdk_key) or parts.password is not None:
        raise DsnError(f"DSN has no SDK key before the @ (one without a colon); it has the form {_FORM}")
    host = _ascii_host(parts.hostname)
    if port == 0 or host is None:
        raise DsnError(f"DSN's host or port cannot be reached; it has the form {_FORM}")
    environment = parts.path.removeprefix("/").removesuffix("/")
    keys = environment.split("/")
    if len(keys) != 2 or not all(KEY_PATTERN.match(key) for key in keys):
        raise DsnError(f"DSN's path {parts.path!r} is not /<project>/<environment>; it has the form {_FORM}")
    if parts.fragment:
        raise DsnError("DSN has a fragment (#…), which would be ignored; remove it, or percent-encode the #")
    return Dsn(parts.scheme == "https", host, port, environment, _verify(parts.query), sdk_key)


def _ascii_host(host: str) -> str | None:
    """The host as the network knows it (IDNA where it has other letters), or None where it cannot be one."""
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return name if _HOST.fullmatch(name) else None


def _verify(query: str) -> tuple[str, ...]:
    keys: list[str] = []
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name != "verify":
            # Not ignored: a misspelt "verify" would silently switch verification off.
            raise DsnError(f"DSN's parameter {name!r} is not known; the only one is verify")
        # unquote, not parse_qs: a plus that was not percent-encoded is a plus of the key.
        vkey = unquote(value)
        try:
            VerifierKey.parse(vkey)
        except NoteError as error:
            raise DsnError(f"DSN's verify is refused: {error}; copy the DSN again") from None
        keys.append(vkey)
    return tuple(keys)
