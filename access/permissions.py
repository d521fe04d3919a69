"""Asking the table: who may do what, where. Permission is a queryset of projects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from access.models import Membership, ServiceAccount, User
from access.roles import SYSTEM, Role, roles_that_may
from audit.actor import Actor, Door

if TYPE_CHECKING:
    from django.http import HttpRequest


class ForbiddenError(Exception):
    """The actor lacks a role; the text says which one and who can give it."""


def user_actor(user: User, via: Door, request_id: str = "") -> Actor:
    """The actor that a person is, by the given door."""
    return Actor(user.pseudonym, via, request_id, {"name": str(user)})


def service_actor(account: ServiceAccount, via: Door = "api", request_id: str = "") -> Actor:
    """The actor that a service account is."""
    return Actor(account.pseudonym, via, request_id, {})


def system_actor(name: str, via: Door = "task") -> Actor:
    """One of our own tasks, e.g. `system:scheduler`, or whoever runs our commands."""
    return Actor(f"system:{name}", via)


def request_actor(request: HttpRequest, via: Door = "ui") -> Actor:
    """The actor behind a signed-in request; behind a token, see `access.authentication`."""
    actor = getattr(request, "countersign_actor", None)
    if isinstance(actor, Actor):
        return actor
    if not isinstance(request.user, User):
        raise ForbiddenError("Sign in first.")
    return user_actor(request.user, via, request_id(request.headers))


def request_id(headers: Mapping[str, str]) -> str:
    """What the proxy calls this request, for the log; empty where it is not a plain name."""
    given = headers.get("X-Request-Id", "")
    return given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else ""


def projects_where(actor: Actor, verb: str) -> QuerySet[Any]:
    """The projects in which the actor holds the verb; what is not in it does not exist for them."""
    from django.apps import apps

    project_model = apps.get_model("flags", "Project")
    roles = roles_that_may(verb)
    if actor.is_system:
        return (
            project_model._default_manager.all() if SYSTEM in roles else project_model._default_manager.none()
        )
    held = Membership.objects.filter(member=actor.id, role__in=roles)
    return project_model._default_manager.filter(pk__in=held.values("project_id"))


def may(actor: Actor, verb: str, project: Any) -> bool:
    """Whether the actor holds the verb in the project."""
    return projects_where(actor, verb).filter(pk=project.pk).exists()


def require(actor: Actor, verb: str, project: Any) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in the project."""
    if may(actor, verb, project):
        return
    needed = " or ".join(sorted(Role(role).label for role in roles_that_may(verb) if role != SYSTEM))
    raise ForbiddenError(
        f"{verb} in {project.key} needs the role {needed}. Ask an administrator of the project."
    )


def require_everywhere(actor: Actor, verb: str) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in every project: the ledger has no walls."""
    from django.apps import apps

    projects = apps.get_model("flags", "Project")._default_manager.all()
    if not projects.exists() or projects.exclude(pk__in=projects_where(actor, verb).values("pk")).exists():
        needed = " or ".join(sorted(Role(role).label for role in roles_that_may(verb) if role != SYSTEM))
        raise ForbiddenError(
            "A bundle holds what reviews rest on in every project, whatever is chosen, so it takes the role "
            f"{needed} in all of them. Ask their administrators."
        )


def is_organisation_administrator(actor: Actor) -> bool:
    """Whether the actor administers the installation: makes projects and service accounts."""
    return User.objects.filter(pseudonym=actor.id, is_superuser=True, is_active=True).exists()


def eligible(members: set[str], verb: str, project: Any) -> set[str]:
    """Of these pseudonyms, the people (no service accounts) who hold the verb in the project now."""
    holding = Membership.objects.filter(
        project=project, member__in=members, role__in=roles_that_may(verb)
    ).values_list("member", flat=True)
    active = User.objects.filter(pseudonym__in=set(holding), is_active=True)
    return set(active.values_list("pseudonym", flat=True))


def display_names(pseudonyms: set[str]) -> dict[str, str]:
    """Names for pseudonyms, for showing; one without a row (erased, or a task) shows as itself."""
    names = {pseudonym: pseudonym for pseudonym in pseudonyms}
    for user in User.objects.filter(pseudonym__in=pseudonyms):
        names[user.pseudonym] = str(user)
    names.update(ServiceAccount.objects.filter(pseudonym__in=pseudonyms).values_list("pseudonym", "name"))
    return names
