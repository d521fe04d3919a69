"""Revisions of environments: they only grow, and each time they do, the environment is published again."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F, QuerySet

from flags.models import Environment
from flags.signals import environment_changed


def raise_revisions(environments: Iterable[Environment]) -> None:
    """Let each environment's revision grow and tell, after the commit, that it changed.

    In order of primary key, so that two changes of the same environments cannot lock each other out.
    """
    for environment in sorted(environments, key=lambda each: each.pk):
        # Not a tracked change: the revision counts the ones that are.
        _rows(environment).update(revision=F("revision") + 1)
        _tell(environment)


def raise_past(environment: Environment, version: int) -> int:
    """Let the revision be higher than `version`, which was published, and than it was; the new one."""
    revision = _rows(environment).select_for_update(no_key=True).get().revision
    _rows(environment).update(revision=max(revision, version) + 1)
    _tell(environment)
    return max(revision, version) + 1


def _rows(environment: Environment) -> QuerySet[Environment]:
    return QuerySet(Environment).filter(pk=environment.pk)


def _tell(environment: Environment) -> None:
    path = environment.path
    transaction.on_commit(lambda: environment_changed.send(None, environment=path), robust=True)
