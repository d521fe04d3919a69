"""The one table over HTTP: verbs and roles, custom roles, who may do something, and what somebody may do."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import teams
from access.api.body import Body, Choice, Key, Text, Whole
from access.api.endpoint import Endpoint
from access.api.people import LimitsSerializer
from access.holders import Standing, standings, who_may
from access.models import CustomRole
from access.permissions import display_names, require_in_organisation
from access.roles import PURPOSES, VERBS, Fresh, OrganisationRole, Role, label_of
from audit.history import version_of, version_subquery

SCOPES = [("project", "held in a project"), ("organisation", "held in the whole organisation")]


class VerbSerializer(serializers.Serializer[Any]):
    """Something that one may do."""

    verb = serializers.CharField()
    purpose = serializers.CharField()
    scope = serializers.ChoiceField(choices=SCOPES, help_text="Where it is asked for.")
    limitable = serializers.BooleanField(help_text="Whether a limited role holds it, within its limits.")
    fresh = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in Fresh],
        help_text="Whether sessions are asked for a fresh second factor, where the `factor-policy` has an age; "
        "`protected`: where it touches a protected environment.",
    )


class RoleSerializer(serializers.Serializer[Any]):
    """A role and its verbs."""

    key = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    scope = serializers.ChoiceField(choices=SCOPES)
    custom = serializers.BooleanField(help_text="Whether your organisation defined it.")
    version = serializers.IntegerField(help_text="The base of a change of a custom role; 0 for the others.")
    verbs = serializers.ListField(child=serializers.CharField())


class RoleTableSerializer(serializers.Serializer[Any]):
    """The whole table."""

    verbs = VerbSerializer(many=True)
    roles = RoleSerializer(many=True)


class RoleBody(Body):
    """A custom role."""

    name = Text(max_length=128)
    purpose = Text(max_length=200, required=False, allow_blank=True, help_text="What it is for.")
    verbs = serializers.ListField(
        child=Text(max_length=64),
        max_length=len(VERBS),
        help_text="Verbs whose scope is `project`; `project.view` is always among them.",
    )
    base = Whole(
        required=False, min_value=0, help_text="The `version` that you saw, 0 for a new one; without it, 409."
    )


class Roles(Endpoint):
    """The table of verbs and roles; whoever is not named in it may not."""

    @extend_schema(operation_id="roles_table", responses=RoleTableSerializer)
    def table(self, request: Request) -> Response:
        """Every verb, and every role with the verbs that it holds."""
        self.filters(request)
        verbs = [
            {
                "verb": name,
                "purpose": verb.purpose,
                "scope": _scope(verb.is_of_project),
                "limitable": verb.limitable,
                "fresh": verb.fresh,
            }
            for name, verb in VERBS.items()
        ]
        roles = [
            {
                "key": role,
                "name": label_of(role),
                "purpose": PURPOSES[role],
                "scope": _scope(role in Role.values),
                "custom": False,
                "version": 0,
                "verbs": [name for name, verb in VERBS.items() if role in verb.roles],
            }
            for role in (*Role, *OrganisationRole)
        ]
        rows = CustomRole.objects.prefetch_related("verbs")
        versions = version_subquery(CustomRole, id=OuterRef("pk"))
        roles += [_shown(role, role.listed_version) for role in rows.annotate(listed_version=versions)]
        return Response(RoleTableSerializer({"verbs": verbs, "roles": roles}).data)

    @extend_schema(
        request=RoleBody,
        responses=RoleSerializer,
        examples=[
            OpenApiExample(
                "Kills at night",
                {
                    "name": "Night watch",
                    "purpose": "turns flags off at night",
                    "verbs": ["flag.kill"],
                    "base": 0,
                },
                request_only=True,
            )
        ],
    )
    def update(self, request: Request, role: str) -> Response:
        """Define a custom role, or change one; whoever holds it holds the new set at once."""
        given = self.body(request, RoleBody)
        base = self.based(given, role)
        made = teams.save_custom_role(self.actor(request), role, **given, base=base)
        return Response(RoleSerializer(_shown(made, version_of(made))).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, role: str) -> Response:
        """Delete a custom role that nobody holds."""
        self.body(request)
        actor = self.actor(request)
        require_in_organisation(actor, "organisation.manage")
        row = CustomRole.objects.filter(key=role).first()
        if row is None:
            raise NotFound(f"There is no custom role {role!r}.")
        teams.delete_custom_role(actor, row)
        return Response(status=204)


class ReasonSerializer(serializers.Serializer[Any]):
    """A role by which somebody holds a verb."""

    role = serializers.CharField()
    role_name = serializers.CharField()
    scope = serializers.SerializerMethodField()
    team = serializers.CharField(help_text="The name of the team that holds the role; empty: their own.")
    waits = serializers.BooleanField(help_text="Whether it does not count until they have a second factor.")
    limits = LimitsSerializer(source="limits.document", help_text="Where it holds; empty: everywhere.")

    def get_scope(self, row: Standing) -> str:
        return _scope(not row.is_of_organisation)


class HolderSerializer(serializers.Serializer[Any]):
    """Somebody who may."""

    member = serializers.CharField()
    name = serializers.CharField()
    may = serializers.BooleanField(
        help_text="False: by each of these roles only once they have a second factor, which they need."
    )
    reasons = ReasonSerializer(many=True)


class WhoMaySerializer(serializers.Serializer[Any]):
    """Everybody active who may do something in a project."""

    project = serializers.CharField()
    verb = serializers.CharField()
    purpose = serializers.CharField()
    holders = HolderSerializer(many=True)


class WhoMayFilter(Body):
    """What is asked."""

    project = Key()
    verb = Choice(choices=[(name, verb.purpose) for name, verb in VERBS.items()])


class WhoMay(Endpoint):
    """Who may do something, and why."""

    @extend_schema(operation_id="who_may", parameters=[WhoMayFilter], responses=WhoMaySerializer)
    def retrieve(self, request: Request) -> Response:
        """Everybody who may do something in a project: by which role, through which team, where."""
        given = self.filters(request, WhoMayFilter)
        project = self.project(request, given["project"])
        reasons: dict[str, list[Standing]] = {}
        for each in who_may(given["verb"], project):
            reasons.setdefault(each.member, []).append(each)
        names = display_names(set(reasons))
        shown = {
            "project": project.key,
            "verb": given["verb"],
            "purpose": VERBS[given["verb"]].purpose,
            "holders": [
                {
                    "member": member,
                    "name": names[member],
                    "may": any(not each.waits for each in reasons[member]),
                    "reasons": reasons[member],
                }
                for member in sorted(reasons)
            ],
        }
        return Response(WhoMaySerializer(shown).data)


class PermissionSerializer(serializers.Serializer[Any]):
    """A verb, and why somebody holds it."""

    verb = serializers.CharField()
    purpose = serializers.CharField()
    may = serializers.BooleanField()
    reasons = ReasonSerializer(many=True)


class StandingSerializer(serializers.Serializer[Any]):
    """What somebody may do in a project."""

    project = serializers.CharField()
    member = serializers.CharField()
    name = serializers.CharField()
    verbs = PermissionSerializer(many=True)


class StandingFilter(Body):
    """Who is asked about."""

    project = Key()
    member = Text(max_length=64, help_text="The id of a person or service account, as in `memberships`.")


class Standings(Endpoint):
    """What somebody may do, and why."""

    @extend_schema(operation_id="standing", parameters=[StandingFilter], responses=StandingSerializer)
    def retrieve(self, request: Request) -> Response:
        """Verb by verb, whether somebody may do it in a project, by which role and where."""
        given = self.filters(request, StandingFilter)
        project, member = self.project(request, given["project"]), given["member"]
        found = standings(project, {member})
        if not found:
            raise NotFound(f"{member!r} has no role in {project.key}.")
        verbs = [
            {
                "verb": name,
                "purpose": verb.purpose,
                "may": any(name in each.verbs for each in found),
                "reasons": [each for each in found if name in each.gives],
            }
            for name, verb in VERBS.items()
        ]
        name = display_names({member})[member]
        shown = {"project": project.key, "member": member, "name": name, "verbs": verbs}
        return Response(StandingSerializer(shown).data)


def _scope(is_of_project: bool) -> str:
    return "project" if is_of_project else "organisation"


def _shown(role: CustomRole, version: int) -> dict[str, Any]:
    return {"key": role.key, "scope": "project", "custom": True, "version": version, **role.document}
