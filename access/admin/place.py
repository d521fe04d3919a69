"""Who looks, and at which project: worked out once per request, for the page and the sidebar alike."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from access.held import Held
from access.permissions import projects_where, request_actor, verbs_held
from audit.actor import Actor
from flags.models import Project

_SESSION = "project"


@dataclass(frozen=True, slots=True)
class Place:
    """The actor, the projects they may see, the one they are in, the verbs they hold there, and by which roles."""

    actor: Actor
    projects: tuple[Project, ...]
    project: Project | None
    verbs: frozenset[str]
    held: Held


def place_of(request: HttpRequest) -> Place:
    """The project named in the URL, else the one last visited, else the oldest that the actor may see.

    A URL that names one which does not exist for the actor gives a place without a project.
    """
    known = getattr(request, "countersign_place", None)
    if isinstance(known, Place):
        return known
    actor = request_actor(request)
    held = Held(actor)
    projects = tuple(projects_where(actor, "project.view", held).order_by("name", "key"))
    match = request.resolver_match
    named = match.kwargs.get("project") if match else None
    wanted = named or request.session.get(_SESSION)
    project = next((each for each in projects if each.key == wanted), None)
    if project is None and named is None:
        project = min(projects, key=lambda each: each.pk, default=None)
    if named and project and request.session.get(_SESSION) != project.key:
        request.session[_SESSION] = project.key
    place = Place(actor, projects, project, verbs_held(actor, project, held), held)
    request.countersign_place = place  # type: ignore[attr-defined]
    return place
