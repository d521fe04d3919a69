"""Two questions, answered with reasons: who may do something here, and what may this person do."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.holders import Standing, standings, who_may
from access.models import ServiceAccount
from access.permissions import display_names
from access.roles import VERBS


class WhoMayPage(Page):
    """Pick a verb: the people and programs who hold it in this project, by which role, where."""

    template = "countersign/who_may.html"
    title = _("Who may do what here")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        asked = request.GET.get("verb", "change.approve")
        if asked not in VERBS:
            raise Http404
        found = who_may(asked, self.project)
        names = display_names({each.member for each in found})
        programs = set(ServiceAccount.objects.filter(pseudonym__in=names).values_list("pseudonym", flat=True))
        reasons: dict[str, list[Standing]] = {}
        for each in found:
            reasons.setdefault(each.member, []).append(each)
        may = {each.member for each in found if not each.waits}
        return self.show(
            asked=asked,
            purpose=VERBS[asked].purpose,
            limitable=VERBS[asked].limitable,
            # Of a project and of the organisation: what one can ask for.
            choices=[
                {
                    "label": label,
                    "verbs": [
                        {"name": name, "purpose": verb.purpose}
                        for name, verb in VERBS.items()
                        if verb.is_of_project is of_project
                    ],
                }
                for label, of_project in ((_("In a project"), True), (_("In the organisation"), False))
            ],
            rows=[
                {
                    "name": names[member],
                    "member": member,
                    "is_program": member in programs,
                    "reasons": reasons[member],
                    "waits": member not in may,
                }
                for member in sorted(reasons, key=lambda each: (each not in may, names[each].lower()))
            ],
            count=len(may),
            waiting=len(reasons) - len(may),
            is_review=asked in ("change.approve", "change.reject"),
        )


class StandingPage(Page):
    """Verb by verb: whether somebody may, where, and by which role."""

    template = "countersign/standing.html"

    def get(self, request: HttpRequest, project: str, member: str) -> HttpResponse:
        found = standings(self.project, {member})
        if not found:
            raise Http404
        name = display_names({member})[member]
        return self.show(
            title=_("What %s may do") % name,
            member=member,
            name=name,
            roles=found,
            groups=[
                {
                    "label": label,
                    "rows": [
                        {
                            "name": verb,
                            "purpose": VERBS[verb].purpose,
                            "reasons": [each for each in found if verb in each.gives],
                            "may": any(verb in each.verbs for each in found),
                        }
                        for verb in VERBS
                        if VERBS[verb].is_of_project is of_project
                    ],
                }
                for label, of_project in (
                    (_("In this project"), True),
                    (_("In the organisation"), False),
                )
            ],
        )
