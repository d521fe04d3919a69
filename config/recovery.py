"""After a restore from an older backup or a lossy failover: going on past everything that was published.

Clients and read planes refuse versions that are older than what they have, and the signer refuses a head that
does not contain what was signed. Both are right, and a restored system is stuck by them. So each environment's
revision and keyring version is raised past all published ones, and a new log opens whose first event names
where the old one ended. One transaction: all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from approvals.workflow import lapsing
from audit import checkpoints, continuing, ledger
from audit import keys as signing_keys
from audit.actor import Actor
from audit.continuing import End
from audit.errors import LedgerError
from audit.models import Log
from audit.recording import recording
from audit.signing import snapshots_name
from distribution import keys
from distribution.models import Keyring, SdkKey, Snapshot
from distribution.published import Knowledge, Published
from distribution.read_plane import RedisStore
from distribution.read_plane.directory_store import DirectoryStore
from flags.models import Environment, Project
from flags.revisions import raise_past

MARGIN = 1_000
"""How far beyond the newest version that is known: what nobody here saw may have been published too."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one environment: its versions here, those published, and the next ones."""

    environment: Environment
    published: Published
    keyring: int
    next_revision: int
    next_keyring: int
    # Keys that the newest published keyring does not have: they were revoked after the backup.
    revoked_since: tuple[SdkKey, ...]
    # How many keys it has that the database does not: made after the backup, they cannot be kept.
    lost_keys: int
    is_behind: bool


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovering would do. `end` is None where nothing was ever signed."""

    log: Log
    end: End | None
    is_contained: bool
    next_origin: str
    steps: tuple[Step, ...]
    missing: dict[str, Published]
    problems: tuple[str, ...]
    requests: int
    plans: int

    @property
    def is_needed(self) -> bool:
        """Whether anything shows that the database is older than what was published or signed."""
        return not self.is_contained or any(step.is_behind for step in self.steps)


def examine(*, published: Sequence[str] = (), ends: Sequence[End] = (), margin: int = MARGIN) -> Recovery:
    """Look at everything that knows what was published, and say what recovering would do.

    Raises ValueError for `published` that is nothing of the kind, `LedgerError` for signed trees that differ.
    """
    knowledge = Knowledge()
    if settings.REDIS_URL:
        knowledge.ask("redis", RedisStore(settings.REDIS_URL))
    knowledge.ask("last-known-good", DirectoryStore(settings.DATA_DIR / "last-known-good"))
    for given in published:
        knowledge.hear(given)
    log = ledger.current_log()
    known = continuing.ends(ends)
    opened = log.events.values_list("time", flat=True).get(index=0)
    lost = [end for end in known if not checkpoints.contains(log, end.head)]
    environments = list(Environment.objects.select_related("project").order_by("pk"))
    steps = tuple(
        _step(environment, knowledge.environments.get(environment.path, Published()), opened, margin)
        for environment in environments
    )
    here = {environment.path for environment in environments}
    return Recovery(
        log,
        # What was seen outside and is not here, before what is here.
        continuing.largest(lost or known),
        not lost,
        continuing.next_origin(known),
        steps,
        {path: found for path, found in knowledge.environments.items() if path not in here},
        tuple(knowledge.problems),
        lapsing.unfinished_requests().count(),
        lapsing.unfinished_plans().count(),
    )


def recover(actor: Actor, recovery: Recovery) -> Log:
    """Do it, in one transaction; the log that is open now. Only from the command line.

    Raises `LedgerError` where somebody else was faster, or this host cannot sign.
    """
    actor.require_command_line("recovering")
    with recording(actor) as record:
        # In the order of everybody who writes: requests, projects, environments, and the ledger's head last.
        lapsing.lapse_all(actor)
        for project in Project.objects.order_by("pk"):
            project.hold()
        lapsing.lapse_all(actor)  # what was proposed until the project was held
        signing_keys.adopt(snapshots_name())
        for step in recovery.steps:
            raise_past(step.environment, step.next_revision - 1)
            for key in step.revoked_since:
                keys.revoke_again(record, key)
            keys.sign_keyring(step.environment, past=step.next_keyring - 1)
        if ledger.current_log(lock=True).pk != recovery.log.pk:
            raise LedgerError("A new ledger was opened meanwhile; look again, there may be nothing to do.")
        end = recovery.end
        if recovery.is_contained:  # nothing was lost that is known of: go on from the very end
            signing_keys.adopt(recovery.log.origin)
            signed = checkpoints.sign_current()
            end = continuing.verified(signed.note, "the database")
        assert end is not None
        return ledger.open_next(recovery.next_origin, end.continues)


def _step(environment: Environment, published: Published, opened: datetime, margin: int) -> Step:
    newest = Keyring.objects.filter(environment=environment).order_by("-version").first()
    keyring = newest.version if newest else 0
    usable = list(SdkKey.objects.filter(environment=environment, revoked_at=None).order_by("pk"))
    is_newer_keyring = published.keyring > keyring
    revoked: tuple[SdkKey, ...] = ()
    lost = 0
    if is_newer_keyring and published.keys is not None:
        revoked = tuple(key for key in usable if key.hash not in published.keys)
        lost = len(published.keys.difference(SdkKey.objects.values_list("hash", flat=True)))
    return Step(
        environment,
        published,
        keyring,
        max(environment.revision, published.snapshot) + margin,
        max(keyring, published.keyring) + margin,
        revoked,
        lost,
        is_newer_keyring
        or published.snapshot > environment.revision
        or _is_another(environment, published, opened),
    )


def _is_another(environment: Environment, published: Published, opened: datetime) -> bool:
    """Whether a version was published twice: before the restore, and differently after it."""
    if published.body_sha256 is None:
        return False
    row = Snapshot.objects.filter(
        environment=environment, version=published.snapshot, created_at__gte=opened
    ).first()
    return row is not None and f"\nbody sha256:{published.body_sha256} " not in row.head
