"""The one address that configures a client whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from countersign.members import KEY_PATTERN
from countersign.notes import NoteError, VerifierKey

_FORM = "https://<sdk key>@<host>/<project>/<environment>?verify=<verifier key, percent-encoded>"


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
    if not sdk_key or not sdk_key.isascii() or not sdk_key.isprintable() or parts.password is not None:
        raise DsnError(f"DSN has no SDK key before the @ (one without a colon); it has the form {_FORM}")
    environment = parts.path.removeprefix("/").removesuffix("/")
    keys = environment.split("/")
    if len(keys) != 2 or not all(KEY_PATTERN.match(key) for key in keys):
        raise DsnError(f"DSN's path {parts.path!r} is not /<project>/<environment>; it has the form {_FORM}")
    if parts.fragment:
        raise DsnError("DSN has a fragment (#…), which would be ignored; remove it, or percent-encode the #")
    return Dsn(parts.scheme == "https", parts.hostname, port, environment, _verify(parts.query), sdk_key)


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
