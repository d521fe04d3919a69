"""The one table of verbs and roles as a page, made from `access.roles`. Everybody who signs in may read it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.admin.organisation import OrganisationPage
from access.models import CustomRole
from access.roles import PURPOSES, VERBS, Fresh, OrganisationRole, Role, label_of


class RoleTablePage(OrganisationPage):
    """Verb × role."""

    template = "countersign/role_table.html"
    title = _("Roles")

    def may_see(self) -> bool:
        return True

    def get(self, request: HttpRequest) -> HttpResponse:
        custom = list(CustomRole.objects.prefetch_related("verbs"))
        held = {role.key: {each.verb for each in role.verbs.all()} for role in custom}
        keys = [*Role, *held, *OrganisationRole]
        columns = [
            {"key": key, "label": next((r.name for r in custom if r.key == key), label_of(key))}
            for key in keys
        ]
        return self.show(
            columns=columns,
            rows=[
                {
                    "name": name,
                    "purpose": verb.purpose,
                    "is_fresh": verb.fresh is not Fresh.NEVER,
                    "is_whole": verb.is_of_project and not verb.limitable,
                    "cells": [
                        {
                            "label": column["label"],
                            "holds": column["key"] in verb.roles or name in held.get(column["key"], ()),
                        }
                        for column in columns
                    ],
                }
                for name, verb in VERBS.items()
            ],
            purposes=[
                *({"label": label_of(role), "purpose": PURPOSES[role]} for role in Role),
                *(
                    {"label": role.name, "purpose": role.purpose or _("a role of your own")}
                    for role in custom
                ),
                *({"label": label_of(role), "purpose": PURPOSES[role]} for role in OrganisationRole),
            ],
            can_define="organisation.manage" in self.place.verbs,
        )
