"""The one table of verbs and roles. Whoever is not named here may not: there is no other place to ask.

Read it as documentation: each verb, what it lets one do, and the roles that hold it. `SYSTEM` stands for our
own tasks, which only ever carry out what people approved. The page about roles, the answers of the API and
the tests are made from this table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import models


class Role(models.TextChoices):
    """What somebody is in a project. Roles add up; none contains another by itself."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    REVIEWER = "reviewer", "Reviewer"
    RELEASE_MANAGER = "release-manager", "Release manager"
    ON_CALL = "on-call", "On-call"
    AUDITOR = "auditor", "Auditor"
    ADMINISTRATOR = "administrator", "Administrator"


class OrganisationRole(models.TextChoices):
    """What somebody is in the whole installation. Verbs of projects that it holds, it holds in all of them."""

    ORGANISATION_ADMINISTRATOR = "organisation-administrator", "Organisation administrator"
    ORGANISATION_AUDITOR = "organisation-auditor", "Organisation auditor"


SYSTEM = "system"
_V, _E, _R, _M, _O, _A, _ADMIN = Role
_ORG, _ORG_AUDIT = OrganisationRole

# What each role is for, in the words of the people who have it.
PURPOSES: Mapping[str, str] = {
    _V: "sees flags, requests and environments",
    _E: "asks for changes, and carries them out once they are approved",
    _R: "approves and rejects other people's changes",
    _M: "plans when approved changes, rollouts and freezes happen, and carries changes out",
    _O: "turns a flag off at once in an emergency; asks for changes",
    _A: "reads the ledger and exports evidence",
    _ADMIN: "everything here, and environments, policies, keys and people",
    _ORG: "makes projects, teams, roles and service accounts, and gives roles everywhere",
    _ORG_AUDIT: "reads the ledger and exports evidence of every project",
}


class Fresh(enum.StrEnum):
    """When a verb asks people for a second factor that is fresh, where the organisation's policy has an age."""

    NEVER = "never"
    PROTECTED = "protected"  # where it touches a protected environment
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that an actor may do: what it is, and the roles that hold it."""

    purpose: str
    roles: frozenset[str]
    # Whether a role that is limited to some environments, kinds or tags holds it there.
    limitable: bool = False
    fresh: Fresh = Fresh.NEVER

    @property
    def is_of_project(self) -> bool:
        """Whether it is asked for in a project; the others concern the whole installation."""
        return bool(self.roles & set(Role))


_F = Fresh.ALWAYS


def _verb(purpose: str, *roles: str, limitable: bool = False, fresh: Fresh = Fresh.NEVER) -> Verb:
    return Verb(purpose, frozenset(roles), limitable, fresh)


VERBS: Mapping[str, Verb] = {
    # see
    "project.view": _verb(
        "see a project: its flags, environments, requests", *Role, _ORG, _ORG_AUDIT, limitable=True
    ),
    "audit.view": _verb("read the ledger's events", _A, _ADMIN, _R, _M, _O, _E, _ORG_AUDIT, limitable=True),
    "audit.export": _verb("take evidence out", _A, _ADMIN, _ORG_AUDIT),
    # change
    "change.propose": _verb("ask for a change", _E, _M, _O, _ADMIN, SYSTEM, limitable=True),
    "change.comment": _verb("comment on a request", _E, _R, _M, _O, _ADMIN, limitable=True),
    "change.approve": _verb(
        "approve somebody else's change", _R, _ADMIN, limitable=True, fresh=Fresh.PROTECTED
    ),
    "change.reject": _verb("reject somebody else's change", _R, _ADMIN, limitable=True),
    "change.apply": _verb("carry out what was approved", _E, _R, _M, _O, _ADMIN, SYSTEM, limitable=True),
    "change.schedule": _verb("set when it is carried out", _E, _R, _M, _ADMIN, limitable=True),
    "rollout.pause": _verb(
        "pause, resume and abort a rollout", _E, _R, _M, _O, _ADMIN, SYSTEM, limitable=True
    ),
    "rollout_template.manage": _verb("make and change templates of rollout plans", _M, _ADMIN),
    "freeze.manage": _verb("plan, change and lift freezes", _M, _ADMIN),
    # make safe
    "flag.kill": _verb(
        "turn a flag off at once, or take a change back where policy lets", _O, _ADMIN, limitable=True
    ),
    "emergency.review": _verb("review a kill, or a revert at once, afterwards", _R, _ADMIN, limitable=True),
    # govern a project
    "project.administer": _verb("make and change environments", _ADMIN, fresh=_F),
    "policy.change": _verb("change what an environment asks for", _ADMIN, fresh=_F),
    "sdk_key.manage": _verb("make and revoke SDK keys", _ADMIN, fresh=_F),
    "webhook.manage": _verb("say which webhooks and chats are told", _ADMIN, fresh=_F),
    "access.manage": _verb("give and take roles in a project", _ADMIN, _ORG, fresh=_F),
    # govern the installation
    "project.create": _verb("make projects", _ORG),
    "organisation.manage": _verb(
        "give and take roles of the organisation; define custom roles", _ORG, fresh=_F
    ),
    "team.manage": _verb("make teams and say who is in them", _ORG, fresh=_F),
    "account.manage": _verb("make accounts, make them inactive, set passwords", _ORG, fresh=_F),
    "factor.reset": _verb("remove somebody's second factors, so that they set up new ones", _ORG, fresh=_F),
    "person.erase": _verb("erase who a person was, for good", _ORG, fresh=_F),
    "service_account.manage": _verb("make service accounts and their tokens", _ORG, fresh=_F),
}


def roles_that_may(verb: str) -> frozenset[str]:
    """The roles of the table that hold a verb. Raises KeyError for a verb that is not in the table."""
    return VERBS[verb].roles


def label_of(role: str) -> str:
    """The name of a role of the table; a custom role's key stands for itself."""
    for kind in (Role, OrganisationRole):
        if role in kind.values:
            return str(kind(role).label)
    return role
