"""Which keys sign under a name: rows say it, so that hosts cannot disagree, and rotating is two steps.

While keys rotate, the new and the old one both sign: whoever knows either goes on. A host that lacks a key
that should sign does not sign at all.
"""

from __future__ import annotations

from itertools import takewhile

from django.utils import timezone

from audit.errors import LedgerError
from audit.models import SigningKey
from audit.signing import Signer, host_signers, renamed


def signing_now(name: str) -> list[str]:
    """The vkeys that sign under `name`, newest first: two while keys rotate."""
    rows = SigningKey.objects.filter(name=name, retired_at=None).order_by("-pk")
    return list(rows.values_list("vkey", flat=True))


def signers(name: str, of: str = "") -> list[Signer]:
    """What signs under `name` now, newest key first; each of them signs.

    `of`: whose keys these are, where not its own. An earlier log is never rotated, and its keys may be gone;
    bundles of it are signed by those of the open one. Raises `LedgerError` where this host lacks a key.
    """
    vkeys = [renamed(vkey, name) for vkey in signing_now(of or name)]
    held = {signer.vkey: signer for signer in host_signers(name)}
    missing = [vkey for vkey in vkeys if vkey not in held]
    if missing or not vkeys:
        named = " and ".join(missing) or f"of {name}"
        raise LedgerError(
            f"This host has no private key for {named}, so nothing was signed. "
            "Give all hosts the same keys; `manage.py rotate_key` says which ones sign."
        )
    return [held[vkey] for vkey in vkeys]


def waiting(name: str) -> list[str]:
    """The vkeys that this host has before all those that sign or signed: what a rotation would begin with."""
    known = set(SigningKey.objects.filter(name=name).values_list("vkey", flat=True))
    return [signer.vkey for signer in takewhile(lambda signer: signer.vkey not in known, host_signers(name))]


def establish(name: str, created: str = "") -> None:
    """Let this host's newest key sign under a name that has none yet.

    `created`: the key that a log's first event names, where that was another one.
    """
    if SigningKey.objects.filter(name=name).exists():
        return
    newest = host_signers(name)[0].vkey
    if created and created != newest:
        SigningKey.objects.create(name=name, vkey=created, retired_at=timezone.now())
    SigningKey.objects.create(name=name, vkey=newest)


def begin(name: str, *, lost: bool = False) -> bool:
    """Let this host's new key sign beside the present one; `lost`: instead of it. False where it does already.

    Must run in the transaction that records it. Raises `LedgerError` where this host has no new key, or
    not the present one.
    """
    present = list(SigningKey.objects.select_for_update().filter(name=name, retired_at=None))
    if len(present) > 1:
        return False
    new = waiting(name)
    if not new:
        raise LedgerError(f"This host has no key of {name} that never signed; make one first.")
    if lost:
        retire(name, [key.vkey for key in present])
    SigningKey.objects.create(name=name, vkey=new[0])
    signers(name)  # or nothing: a host that cannot sign with both must not begin
    return True


def finish(name: str) -> bool:
    """Let only the newest key sign. False where it does already. Must run in the transaction that records it.

    Raises `LedgerError` where this host lacks the newest key: nobody could sign afterwards.
    """
    present = list(SigningKey.objects.select_for_update().filter(name=name, retired_at=None).order_by("-pk"))
    if len(present) < 2:
        return False
    if present[0].vkey not in {signer.vkey for signer in host_signers(name)}:
        raise LedgerError(f"This host lacks the new key {present[0].vkey}; finish where it is.")
    retire(name, [key.vkey for key in present[1:]])
    return True


def adopt(name: str) -> None:
    """Let those keys sign under a name that this host has: a restored database may know older ones only.

    Must run in the transaction that recovers.
    """
    held = [signer.vkey for signer in host_signers(name)]
    retire(name, [vkey for vkey in signing_now(name) if vkey not in held])
    retired = set(
        SigningKey.objects.filter(name=name, retired_at__isnull=False).values_list("vkey", flat=True)
    )
    for vkey in reversed(held):
        if vkey not in retired:
            SigningKey.objects.get_or_create(vkey=vkey, defaults={"name": name})
    if not signing_now(name):
        raise LedgerError(f"This host has only retired keys of {name}; make one with `manage.py rotate_key`.")


def retire(name: str, vkeys: list[str]) -> None:
    """Let these keys sign no more under a name."""
    rows = SigningKey.objects.filter(name=name, vkey__in=vkeys, retired_at=None)
    rows.update(retired_at=timezone.now())
