"""Teams, and the roles of the organisation."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, Q, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import grants, teams
from access.api.body import Body, Choice, Text, Whole
from access.api.endpoint import Endpoint
from access.models import Membership, OrganisationMembership, Team, TeamMember
from access.permissions import display_names, may_in_organisation, require_in_organisation
from access.roles import OrganisationRole
from audit.history import version_of, version_subquery


class TeamSerializer(serializers.ModelSerializer[Team]):
    """People who hold roles together."""

    id = serializers.CharField(source="pseudonym", help_text="What memberships name.")
    members = serializers.SerializerMethodField(help_text="The ids of the people in it.")
    version = serializers.SerializerMethodField(help_text="The base of a change of it.")

    class Meta:
        model = Team
        fields = ("id", "key", "name", "members", "version")

    def get_version(self, row: Team) -> int:
        listed: int | None = getattr(row, "listed_version", None)
        return version_of(row) if listed is None else listed

    def get_members(self, row: Team) -> list[str]:
        return sorted(each.member for each in row.members.all())


class TeamBody(Body):
    """A team's name and everybody in it."""

    name = Text(max_length=128)
    members = serializers.ListField(
        child=Text(max_length=64), max_length=10_000, help_text="Ids of people; whoever is not named leaves."
    )
    base = Whole(
        required=False, min_value=0, help_text="The `version` that you saw, 0 for a new one; without it, 409."
    )


class Teams(Endpoint):
    """Organisation administrators make teams and see all; others, theirs and those in their projects."""

    @extend_schema(responses=TeamSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The teams that you see."""
        self.filters(request)
        return self.page(request, self._seen(request), TeamSerializer)

    @extend_schema(responses=TeamSerializer)
    def retrieve(self, request: Request, team: str) -> Response:
        """A team and who is in it."""
        self.filters(request)
        return Response(TeamSerializer(self._find(request, team)).data)

    @extend_schema(
        request=TeamBody,
        responses=TeamSerializer,
        examples=[
            OpenApiExample(
                "Two people",
                {"name": "Payments", "members": ["user:3f9a0c1d2e4b", "user:5b7e2f0a9c8d"], "base": 0},
                request_only=True,
            )
        ],
    )
    def update(self, request: Request, team: str) -> Response:
        """Make a team, or say anew what it is called and who is in it."""
        given = self.body(request, TeamBody)
        base = self.based(given, team)
        made = teams.save_team(self.actor(request), team, **given, base=base)
        return Response(TeamSerializer(made).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, team: str) -> Response:
        """Delete a team that holds nothing."""
        self.body(request)
        teams.delete_team(self.actor(request), self._find(request, team))
        return Response(status=204)

    def _seen(self, request: Request) -> QuerySet[Team]:
        actor = self.actor(request)
        rows = Team.objects.prefetch_related("members").annotate(
            listed_version=version_subquery(Team, id=OuterRef("pk"))
        )
        if may_in_organisation(actor, "team.manage"):
            return rows
        shared = Membership.objects.filter(project__in=self.visible(request)).values("member")
        mine = TeamMember.objects.filter(member=actor.id).values("team")
        return rows.filter(Q(pseudonym__in=shared) | Q(pk__in=mine))

    def _find(self, request: Request, key: str) -> Team:
        row = self._seen(request).filter(key=key).first()
        if row is None:
            raise NotFound(f"There is no team {key!r} that you see.")
        return row


class OrganisationMembershipSerializer(serializers.Serializer[Any]):
    """A role of somebody in the whole organisation."""

    member = serializers.CharField(help_text="The pseudonymous id of a person, service account or team.")
    name = serializers.SerializerMethodField(help_text="As known now.")
    role = serializers.ChoiceField(choices=OrganisationRole.choices)

    def get_name(self, row: OrganisationMembership) -> str:
        return str(self.context["names"].get(row.member, row.member))


class OrganisationMembershipBody(Body):
    """A role of the organisation to give."""

    member = Text(max_length=254, help_text="As in `memberships`.")
    role = Choice(choices=OrganisationRole.choices)


class OrganisationMemberships(Endpoint):
    """Roles of the organisation, which hold in every project. For its administrators."""

    @extend_schema(responses=OrganisationMembershipSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Who has a role of the organisation."""
        self.filters(request)
        require_in_organisation(self.actor(request), "organisation.manage", reading=True)
        rows = OrganisationMembership.objects.all()
        names = display_names(set(rows.values_list("member", flat=True)))
        return self.page(request, rows, OrganisationMembershipSerializer, {"names": names})

    @extend_schema(
        request=OrganisationMembershipBody,
        responses={201: OrganisationMembershipSerializer},
        examples=[
            OpenApiExample(
                "An auditor", {"member": "ines", "role": "organisation-auditor"}, request_only=True
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Give a role of the organisation. Giving it again changes nothing."""
        given = self.body(request, OrganisationMembershipBody)
        actor = self.actor(request)
        # First of all: whether somebody exists is nobody else's business.
        require_in_organisation(actor, "organisation.manage")
        try:
            member = grants.found(given["member"])
        except LookupError as error:
            raise NotFound(f"{given['member']!r}: {error}") from error
        row = grants.appoint(actor, member, given["role"])
        context = {"names": display_names({member})}
        return Response(OrganisationMembershipSerializer(row, context=context).data, 201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, member: str, role: str) -> Response:
        """Take a role of the organisation away."""
        self.body(request)
        actor = self.actor(request)
        require_in_organisation(actor, "organisation.manage")
        row = OrganisationMembership.objects.filter(member=member, role=role).first()
        if row is None:
            raise NotFound(f"{member!r} has no role {role!r} of the organisation.")
        grants.dismiss(actor, row)
        return Response(status=204)
