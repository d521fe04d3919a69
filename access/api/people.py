"""Who am I, and who else is here: `me`, memberships, people, service accounts."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import grants, machines
from access.api.body import Body, Document, Key, Text, Truth
from access.api.endpoint import Endpoint
from access.held import held_by
from access.limits import Limits
from access.models import Membership, OrganisationMembership, ServiceAccount, Team, TeamMember, User
from access.permissions import (
    display_names,
    is_organisation_administrator,
    require,
    require_in_organisation,
    waits_for_factor,
)
from approvals import workflow
from approvals.api.change_shown import ChangeRequestSerializer


class ProjectRolesSerializer(serializers.Serializer[Any]):
    """The caller's roles in one project, their own and those of their teams."""

    project = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())


class MeSerializer(serializers.Serializer[Any]):
    """The caller."""

    id = serializers.CharField(help_text="Pseudonymous, as in changes and events.")
    kind = serializers.ChoiceField(choices=[("user", "a person"), ("service", "a service account")])
    name = serializers.CharField()
    organisation_administrator = serializers.BooleanField()
    organisation_roles = serializers.ListField(child=serializers.CharField())
    teams = serializers.ListField(child=serializers.CharField(), help_text="The keys of your teams.")
    second_factor_needed = serializers.BooleanField(
        help_text="Whether a role of yours does not count until you set up or show a second factor."
    )
    projects = ProjectRolesSerializer(many=True)


class Me(Endpoint):
    """Who the token or session belongs to."""

    @extend_schema(operation_id="me", responses=MeSerializer)
    def retrieve(self, request: Request) -> Response:
        """Who am I, and which roles do I have where?"""
        self.filters(request)
        actor = self.actor(request)
        roles: dict[str, list[str]] = {}
        held = Membership.objects.filter(held_by(actor), project__in=self.visible(request))
        for project, role in (
            held.order_by("project__key", "role").values_list("project__key", "role").distinct()
        ):
            roles.setdefault(project, []).append(role)
        appointed = OrganisationMembership.objects.filter(held_by(actor)).order_by("role")
        teams = Team.objects.filter(members__member=actor.id)
        shown = {
            "id": actor.id,
            "kind": "user" if isinstance(request.user, User) else "service",
            "name": display_names({actor.id})[actor.id],
            "organisation_administrator": is_organisation_administrator(actor),
            "organisation_roles": list(appointed.values_list("role", flat=True).distinct()),
            "second_factor_needed": waits_for_factor(actor),
            "teams": list(teams.values_list("key", flat=True)),
            "projects": [{"project": project, "roles": roles[project]} for project in roles],
        }
        return Response(MeSerializer(shown).data)


class LimitsSerializer(serializers.Serializer[Any]):
    """Where a role holds. Every member may be left out; empty: everywhere in the project."""

    environments = serializers.ListField(child=serializers.CharField(), required=False)
    kinds = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Kinds of flags, e.g. `release`."
    )
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    critical = serializers.BooleanField(required=False, help_text="False: not for critical flags.")


NAME = {"type": "string", "pattern": r"^[^\u0000]+$"}
LIMITS = {
    "type": "object",
    "properties": {
        **{name: {"type": "array", "items": NAME} for name in ("environments", "kinds", "tags")},
        "critical": {"type": "boolean"},
    },
    "additionalProperties": False,
}


@extend_schema_field(LIMITS)
class LimitsDocument(Document):
    """What `Limits.read` reads."""


class MembershipSerializer(serializers.Serializer[Any]):
    """A role of somebody in a project."""

    project = serializers.CharField(source="project.key")
    member = serializers.CharField(help_text="The pseudonymous id of a person, service account or team.")
    name = serializers.SerializerMethodField(help_text="As known now; the id where it was erased.")
    role = serializers.CharField(help_text="Of the table, or the key of a custom role; see `roles`.")
    limits = LimitsSerializer()

    def get_name(self, row: Membership) -> str:
        return str(self.context["names"].get(row.member, row.member))


class MembershipFilter(Body):
    """Filters of memberships."""

    project = Key(required=False)
    member = Text(required=False)
    role = Text(max_length=32, required=False)


class MembershipWhy(Body):
    """Why, for projects whose policies cover access."""

    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)


class MembershipBody(MembershipWhy):
    """A role to give."""

    project = Key()
    member = Text(
        max_length=254,
        help_text="An id, as in `me`, `people`, `teams` or `service-accounts`; or a user name, an e-mail "
        "address, the key of a team or the name of a service account.",
    )
    role = Text(max_length=32, help_text="Of the table, or the key of a custom role; see `roles`.")
    limits = LimitsDocument(
        required=False,
        help_text="`environments`, `kinds`, `tags` (lists) and `critical` (false: not for critical flags). "
        "Left out: everywhere in the project.",
    )


class Memberships(Endpoint):
    """Roles per project. Everybody in a project sees who is in it; its administrators give and take roles."""

    @extend_schema(parameters=[MembershipFilter], responses=MembershipSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The roles in the projects that you see."""
        given = self.filters(request, MembershipFilter)
        rows = Membership.objects.filter(project__in=self.visible(request)).select_related("project")
        for name, column in (("project", "project__key"), ("member", "member"), ("role", "role")):
            if name in given:
                rows = rows.filter(**{column: given[name]})
        pages = self.pagination_class()
        shown = pages.paginate_queryset(rows, request, self)
        names = display_names({row.member for row in shown})
        return pages.get_paginated_response(
            MembershipSerializer(shown, many=True, context={"names": names}).data
        )

    @extend_schema(
        request=MembershipBody,
        responses={201: MembershipSerializer, 202: ChangeRequestSerializer},
        examples=[
            OpenApiExample(
                "A reviewer", {"project": "shop", "member": "jonas", "role": "reviewer"}, request_only=True
            ),
            OpenApiExample(
                "A team that changes only what is not critical, before production",
                {
                    "project": "shop",
                    "member": "payments",
                    "role": "editor",
                    "limits": {"environments": ["development", "staging"], "critical": False},
                },
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request) -> Response:
        """Give a role, or set the limits of one that is held. Giving the same again changes nothing.

        Where a policy of the project covers access, it is given by a request: 202 with it.
        """
        given = self.body(request, MembershipBody)
        project = self.project(request, given["project"])
        actor = self.actor(request)
        # First of all: whether somebody exists is nobody's business who may not give roles.
        require(actor, "access.manage", project)
        try:
            member = grants.found(given["member"])
        except LookupError as error:
            raise NotFound(f"{given['member']!r}: {error} People find their id under /api/v1/me.") from error
        limits = Limits.read(given.get("limits", {}))
        made = workflow.give_role(actor, project, member, given["role"], limits, **_why(given))
        if made is not None and made.is_open:
            return Response(ChangeRequestSerializer(made).data, 202)
        row = Membership.objects.get(project=project, member=member, role=given["role"])
        return Response(MembershipSerializer(row, context={"names": display_names({member})}).data, 201)

    @extend_schema(
        request=None, parameters=[MembershipWhy], responses={204: None, 202: ChangeRequestSerializer}
    )
    def destroy(self, request: Request, project: str, member: str, role: str) -> Response:
        """Take a role away: at once, or by a request where a policy of the project covers access (202)."""
        self.body(request)
        given = self.filters(request, MembershipWhy)
        row = (
            Membership.objects.filter(project=self.project(request, project), member=member, role=role)
            .select_related("project")
            .first()
        )
        if row is None:
            raise NotFound(f"{member!r} has no role {role!r} in {project}.")
        made = workflow.take_role(self.actor(request), row, **_why(given))
        if made is not None and made.is_open:
            return Response(ChangeRequestSerializer(made).data, 202)
        return Response(status=204)


def _why(given: dict[str, Any]) -> dict[str, str]:
    return {name: given[name] for name in ("rationale", "ticket") if name in given}


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person. What else is known of them stands in their account alone."""

    id = serializers.CharField(source="pseudonym", help_text="Pseudonymous, as in changes and events.")
    name = serializers.CharField(source="__str__")

    class Meta:
        model = User
        fields = ("id", "name", "is_active")


class People(Endpoint):
    """Organisation administrators see everybody; others, the people they share a project with."""

    @extend_schema(responses=PersonSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The people that you see."""
        self.filters(request)
        actor = self.actor(request)
        rows = User.objects.all()
        if not is_organisation_administrator(actor):
            members = Membership.objects.filter(project__in=self.visible(request)).values("member")
            in_teams = TeamMember.objects.filter(team__pseudonym__in=members).values("member")
            rows = rows.filter(Q(pseudonym__in=members) | Q(pseudonym__in=in_teams) | Q(pseudonym=actor.id))
        return self.page(request, rows, PersonSerializer)


class ServiceAccountSerializer(serializers.ModelSerializer[ServiceAccount]):
    """A program that acts through the API. It never counts as a reviewer."""

    id = serializers.CharField(source="pseudonym", help_text="What memberships name.")
    team: serializers.SlugRelatedField[Team] = serializers.SlugRelatedField(
        slug_field="key",
        read_only=True,
        allow_null=True,
        help_text="The key of the team that answers for it; or null.",
    )

    class Meta:
        model = ServiceAccount
        fields = ("id", "name", "is_active", "team")


class ServiceAccountBody(Body):
    """A service account to make."""

    name = Text(max_length=128, help_text="Unique; say which program it is.")
    team = Text(
        max_length=128,
        required=False,
        allow_null=True,
        help_text="The key of the team that answers for it and makes its tokens. Left out: the "
        "organisation's administrators.",
    )


class ServiceAccountChange(Body):
    """What to change of a service account; what is left out stays."""

    name = Text(max_length=128, required=False)
    is_active = Truth(required=False, help_text="False: its tokens are refused at once. Its roles stay.")
    team = Key(required=False, allow_null=True, help_text="The key of the team that answers for it.")


class ServiceAccounts(Endpoint):
    """Accounts of programs. Organisation administrators make them; others see those of their projects."""

    @extend_schema(responses=ServiceAccountSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The service accounts that you see."""
        self.filters(request)
        return self.page(request, service_accounts_seen(self, request), ServiceAccountSerializer)

    @extend_schema(
        request=ServiceAccountBody,
        responses={201: ServiceAccountSerializer},
        examples=[
            OpenApiExample("A pipeline", {"name": "release-pipeline", "team": "payments"}, request_only=True)
        ],
    )
    def create(self, request: Request) -> Response:
        """Make a service account. It has no role and no token yet."""
        given = self.body(request, ServiceAccountBody)
        actor = self.actor(request)
        # First of all: which teams there are is nobody else's business.
        require_in_organisation(actor, "service_account.manage")
        team: Team | None = None
        if given.get("team") is not None:
            team = Team.objects.filter(key=given["team"]).first()
            if team is None:
                raise NotFound(f"There is no team {given['team']!r}.")
        account = machines.create_service_account(actor, given["name"], team)
        return Response(ServiceAccountSerializer(account).data, 201)

    @extend_schema(request=ServiceAccountChange, responses=ServiceAccountSerializer)
    def partial_update(self, request: Request, account: str) -> Response:
        """Rename it, let another team answer for it, stop it or let it go on. Its team may stop it."""
        given = self.body(request, ServiceAccountChange)
        actor = self.actor(request)
        seen = service_accounts_seen(self, request)
        row = seen.filter(pseudonym=account).first()
        if row is None:
            raise NotFound(f"There is no service account {account!r} that you see.")
        team = row.team
        if "team" in given:
            team = None if given["team"] is None else Team.objects.filter(key=given["team"]).first()
            if given["team"] is not None and team is None:
                # Which teams there are is for those who may choose one.
                require_in_organisation(actor, "service_account.manage")
                raise ValidationError({"team": f"there is no team {given['team']!r}"})
        machines.change_service_account(
            actor,
            row,
            name=given.get("name", row.name),
            team=team,
            is_active=given.get("is_active", row.is_active),
        )
        row.refresh_from_db()
        return Response(ServiceAccountSerializer(row).data)


def service_accounts_seen(endpoint: Endpoint, request: Request) -> QuerySet[ServiceAccount]:
    """All for organisation administrators; for others, those of their teams and of projects that they see."""
    answered = machines.answered_for(endpoint.actor(request), endpoint.held(request))
    members = Membership.objects.filter(project__in=endpoint.visible(request))
    return ServiceAccount.objects.filter(
        Q(pk__in=answered.values("pk")) | Q(pseudonym__in=members.values("member"))
    ).select_related("team")
