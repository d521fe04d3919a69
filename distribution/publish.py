"""Publishing: compile an environment whose revision is ahead of its snapshot, sign once, store, announce."""

from __future__ import annotations

import hashlib
import logging

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from audit import keys as signing_keys
from audit.ledger import current_log, timestamp
from audit.models import b64
from audit.signing import signed_note, snapshots_name
from distribution import announcements
from distribution.models import Snapshot
from flags import compile
from flags.models import Environment

logger = logging.getLogger(__name__)


def due() -> QuerySet[Environment]:
    """The environments whose revision is ahead of their newest snapshot. However many there were: by index."""
    published = Snapshot.objects.filter(environment=OuterRef("pk"), version__gte=OuterRef("revision"))
    environments: QuerySet[Environment] = Environment.objects.filter(~Exists(published))
    return environments.select_related("project")


def publish(environment_id: int) -> Snapshot:
    """Make sure that the newest revision of an environment is published; return its snapshot.

    May run twice and at once: the row lock lets one publisher of an environment in at a time, and it keeps
    a change of the environment from landing between the reads.
    """
    with transaction.atomic():
        environment = (
            Environment.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project")
            .get(pk=environment_id)
        )
        snapshot: Snapshot | None = Snapshot.objects.filter(
            environment=environment, version=environment.revision
        ).first()
        if snapshot is None:
            body = compile.body(environment)
            snapshot = Snapshot.objects.create(
                environment=environment,
                version=environment.revision,
                head=signed_note(_head(environment, body), signing_keys.signers(snapshots_name())),
                body=body,
            )
    announcements.announce_snapshot(environment.path, snapshot.version, snapshot.raw)
    return snapshot


def publish_due() -> None:
    """Publish whatever is behind. One environment that fails must not hold up the others."""
    for environment in due():
        try:
            publish(environment.pk)
        except Exception:
            logger.exception("%s could not be published now; it will be tried again", environment.path)


def _head(environment: Environment, body: bytes) -> str:
    """The seven lines of the evaluation specification, section 5."""
    log = current_log()
    return (
        "countersign-snapshot/v1\n"
        f"origin {settings.ORIGIN}\n"
        f"environment {environment.path}\n"
        f"version {environment.revision}\n"
        f"created {timestamp(timezone.now())}\n"
        f"ledger {log.size} {b64(log.root)}\n"
        f"body sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
    )
