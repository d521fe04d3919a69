"""The one table of verbs and roles. Whoever is not named here may not: there is no other place to ask.

Read it as documentation: each verb, and the roles per project that hold it. `SYSTEM` stands for our own
tasks, which only ever carry out what people approved.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models


class Role(models.TextChoices):
    """What somebody is in a project. Roles add up; none contains another by itself."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    REVIEWER = "reviewer", "Reviewer"
    ON_CALL = "on-call", "On-call"
    AUDITOR = "auditor", "Auditor"
    ADMINISTRATOR = "administrator", "Administrator"


SYSTEM = "system"
_V, _E, _R, _O, _A, _ADMIN = Role

EVERYBODY = frozenset({_V, _E, _R, _O, _A, _ADMIN})

VERBS: Mapping[str, frozenset[str]] = {
    # see
    "project.view": EVERYBODY,
    "audit.view": frozenset({_A, _ADMIN, _R, _O, _E}),
    "audit.export": frozenset({_A, _ADMIN}),
    # change
    "change.propose": frozenset({_E, _O, _ADMIN, SYSTEM}),
    "change.comment": frozenset({_E, _R, _O, _ADMIN}),
    "change.approve": frozenset({_R, _ADMIN}),
    "change.reject": frozenset({_R, _ADMIN}),
    "change.apply": frozenset({_E, _R, _O, _ADMIN, SYSTEM}),
    "change.schedule": frozenset({_E, _R, _ADMIN}),
    "rollout.pause": frozenset({_E, _R, _O, _ADMIN, SYSTEM}),
    # make safe
    "flag.kill": frozenset({_O, _ADMIN}),
    "emergency.review": frozenset({_R, _ADMIN}),
    # govern
    "project.administer": frozenset({_ADMIN}),
    "policy.change": frozenset({_ADMIN}),
    "sdk_key.manage": frozenset({_ADMIN}),
    "access.manage": frozenset({_ADMIN}),
}


def roles_that_may(verb: str) -> frozenset[str]:
    """The roles that hold a verb. Raises KeyError for a verb that is not in the table."""
    return VERBS[verb]
