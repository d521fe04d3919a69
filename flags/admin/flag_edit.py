"""Making a flag and changing its definition, through the gate."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.models import Membership, User
from approvals import drafting
from approvals.admin.asking import DocumentField, WhyForm, into_draft, place_error
from approvals.admin.once import change_once
from approvals.models import ChangeRequest
from approvals.policy_document import Requirements
from approvals.workflow import BlockedError, ConflictError, InvalidError
from audit.ledger import timestamp
from flags import wording
from flags.documents import Document, definition_document, read_moment
from flags.models import Flag, Project, validate_key
from flags.subjects import Subject

VARIANTS = {
    "boolean": {"on": True, "off": False},
    "string": {"new": "new", "old": "old"},
    "integer": {"high": 10, "low": 1},
    "float": {"high": 1.0, "low": 0.5},
    "object": {"on": {"enabled": True}, "off": {"enabled": False}},
}


class DefinitionForm(WhyForm):
    """A flag's definition: what it is, for whom and until when."""

    name = forms.CharField(label=_("Name"), max_length=128, help_text=_("What people call it."))
    description = forms.CharField(
        label=_("Description"), required=False, max_length=4_000, widget=forms.Textarea(attrs={"rows": 2})
    )
    kind = forms.ChoiceField(label=_("Kind"), choices=Flag.Kind.choices, initial=Flag.Kind.RELEASE)
    variants = DocumentField(
        label=_("Variants"),
        rows=4,
        help_text=_('Names and values as a JSON object, such as {"on": true, "off": false}.'),
    )
    owner = forms.ChoiceField(
        label=_("Owner"), required=False, help_text=_("Hears of it when it expires or gets stale.")
    )
    team = forms.CharField(label=_("Team"), required=False, max_length=128)
    tags = forms.CharField(
        label=_("Tags"), required=False, max_length=500, help_text=_("Separated by commas.")
    )
    purpose = forms.CharField(
        label=_("Purpose"),
        required=False,
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("What it is for, and when it has done its work."),
    )
    docs_url = forms.URLField(label=_("Link"), required=False, max_length=200, assume_scheme="https")
    client_side = forms.BooleanField(
        label=_("Browsers and apps may ask for it"), required=False, help_text=_("With client-side keys.")
    )
    temporary = forms.BooleanField(label=_("Temporary: it is removed one day"), required=False, initial=True)
    expires = forms.DateField(
        label=_("Expires on"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_(
            "At 00:00 UTC. A temporary flag has a date: within 40 days for a release, 60 for an experiment."
        ),
    )
    permanent_reason = forms.CharField(
        label=_("Why it stays"),
        required=False,
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("For a flag that is not temporary."),
    )
    on_expiry = forms.ChoiceField(
        label=_("Then"),
        choices=Flag.OnExpiry.choices,
        initial=Flag.OnExpiry.ALERT,
        help_text=_("Turning it off is part of what the reviewers of an environment approve."),
    )
    base = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, keep_owner: str = "", **kwargs: Any) -> None:
        super().__init__(*args, needs=Requirements(), **kwargs)
        members = Membership.objects.filter(project=project).values("member")
        people = User.objects.filter(pseudonym__in=members, is_active=True).order_by("username")
        choices = [("", _("nobody")), *((user.pseudonym, str(user)) for user in people)]
        if keep_owner and keep_owner not in {value for value, _name in choices}:
            # Somebody who left still owns it until another owner is chosen.
            former = User.objects.filter(pseudonym=keep_owner).first()
            choices.append((keep_owner, str(former or keep_owner)))
        self.fields["owner"].choices = choices  # type: ignore[attr-defined]

    def clean_tags(self) -> list[str]:
        tags = [tag.strip() for tag in self.cleaned_data["tags"].split(",")]
        return list(dict.fromkeys(tag for tag in tags if tag))

    def definition(self, type: str, before: Document | None = None) -> Document:
        """The definition document; members that the form does not show stay as they are."""
        given = self.cleaned_data
        document: Document = {**(before or {"fail_safe": Flag.FailSafe.LAST_KNOWN_GOOD.value}), "type": type}
        for name in ("name", "description", "kind", "variants", "owner", "team", "tags", "purpose"):
            document[name] = given[name]
        document |= {
            "docs_url": given["docs_url"],
            "permanent_reason": given["permanent_reason"],
            "client_side": given["client_side"],
            "temporary": given["temporary"],
            "on_expiry": given["on_expiry"],
            "expires_at": timestamp(datetime.combine(given["expires"], datetime.min.time(), UTC))
            if given["expires"]
            else None,
        }
        before_expiry = (before or {}).get("expires_at")
        if before_expiry and given["expires"] and before_expiry[:10] == given["expires"].isoformat():
            document["expires_at"] = before_expiry  # the day was not touched: neither is its hour
        return {name: value for name, value in document.items() if value not in ("", None, [], {}, False)}


class NewFlagForm(DefinitionForm):
    """The same with what can never change: key and type."""

    key = forms.CharField(
        label=_("Key"),
        max_length=128,
        validators=[validate_key],
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("What the code asks for; for good."),
    )
    type = forms.ChoiceField(
        label=_("Type"), choices=Flag.Type.choices, initial=Flag.Type.BOOLEAN, help_text=_("For good.")
    )
    field_order = ("key", "name", "type", "variants")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["variants"].required = False
        self.fields["variants"].help_text = _(
            "Names and values as a JSON object. Empty: a pair that fits the type."
        )

    def clean_variants(self) -> Any:
        given = self.cleaned_data["variants"]
        if given is not None:
            return given
        # A type that does not exist is refused at its own field.
        return VARIANTS.get(self.data.get("type", ""), VARIANTS["boolean"])


def _words() -> dict[str, str]:
    """What the rows of variants say is wrong, by the type of a value or by the name."""
    words = {
        "unnamed": _("Give it a name."),
        "twice": _("Another variant has this name; choose another one."),
        "boolean": _("Choose true or false."),
        "integer": _("This must be a whole number such as 10."),
        "float": _("This must be a number such as 0.5."),
        "object": _('This must be a JSON object such as {"limit": 10}.'),
    }
    return {name: str(text) for name, text in words.items()}


def _in_a_month() -> date:
    return (timezone.now() + timedelta(days=30)).date()


class NewFlagPage(Page):
    """Asks for a new flag. It is off everywhere, so nothing has to be approved."""

    verb = "change.propose"
    template = "countersign/flag_form.html"
    title = _("New flag")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(
            NewFlagForm(project=self.project, initial={"owner": self.actor.id, "expires": _in_a_month()})
        )

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = NewFlagForm(request.POST, project=self.project)
        if not form.is_valid():
            return self._show(form, 422)
        key = form.cleaned_data["key"]
        subject = Subject("definition", self.project.key, key)
        definition = form.definition(form.cleaned_data["type"])
        try:
            if form.goes_to_draft:
                back = reverse("admin:draft", args=[self.project.key])
                return into_draft(self, str(subject), definition, 0, back)
            change_once(
                self.actor,
                self.project,
                [{"subject": str(subject), "after": definition}],
                title=f"New flag {key}"[:200],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
                base={str(subject): 0},
            )
        except ConflictError:
            form.add_error("key", _("There is a flag with this key already; choose another one."))
            return self._show(form, 409)
        except BlockedError as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        except InvalidError as error:
            place_error(form, error, expires_at="expires")
            return self._show(form, 422)
        self.say(_("%s is there, off everywhere. Turn it on where you want it.") % key)
        return self.go("flag", key)

    def _show(self, form: NewFlagForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status, form=form, button=_("Create flag"), is_new=True, usual=VARIANTS, words=_words()
        )


class EditFlagPage(Page):
    """Changes a definition. Variants are gated by the environments that serve them."""

    verb = "change.propose"
    template = "countersign/flag_form.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self._find(key)
        started = self._started(flag)
        expires_at = read_moment(started.get("expires_at"))
        initial = {
            **started,
            "owner": started.get("owner", ""),
            "tags": ", ".join(started.get("tags", ())),
            "temporary": started.get("temporary", False),
            "expires": expires_at.astimezone(UTC).date() if expires_at else None,
            "base": self.edit.base if self.edit else flag.version,
        }
        return self._show(flag, self._form(flag, None, initial))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self._find(key)
        form = self._form(flag, request.POST, {})
        if not form.is_valid():
            return self._show(flag, form, 422)
        after = form.definition(flag.type, self._started(flag))
        try:
            if form.goes_to_draft:
                back = reverse("admin:flag", args=[self.project.key, key])
                return into_draft(self, str(flag.subject), after, form.cleaned_data["base"] or 0, back)
            made = change_once(
                self.actor,
                self.project,
                [{"subject": str(flag.subject), "after": after}],
                title=f"Edit {flag.key}"[:200],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
                base={str(flag.subject): form.cleaned_data["base"] or 0},
            )
        except ConflictError:
            return self._conflict(flag, form)
        except BlockedError as error:
            form.add_error(None, str(error))
            return self._show(flag, form, 409)
        except InvalidError as error:
            if error.member.endswith(".after"):
                form.add_error(None, _("This is how it stands already; change something first."))
            else:
                place_error(form, error, expires_at="expires")
            return self._show(flag, form, 422)
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("Saved (%s).") % made.change_id)
            return self.go("flag", key)
        self.say(_("%s waits for review. Nothing has changed yet.") % made.change_id)
        return self.go("request", made.number)

    def _conflict(self, flag: Flag, form: DefinitionForm) -> HttpResponse:
        """Somebody was faster: say what they changed; the form keeps what was typed."""
        rows = flag.history.filter(version=form.cleaned_data["base"])
        seen = rows.first()
        before = definition_document(seen) if seen else {}
        data = self.request.POST.copy()
        data["base"] = str(flag.version)
        again = self._form(flag, data, {})
        said = wording.definition_effects(flag.key, before, definition_document(flag))
        return self._show(flag, again, 409, conflict={"effects": said, "seen": form.cleaned_data["base"]})

    def _find(self, key: str) -> Flag:
        rows = Flag.objects.filter(project=self.project, key=key)
        flag: Flag | None = rows.select_related("project").first()
        if flag is None:
            raise Http404
        self.edit = drafting.edit_of(self.actor, self.project, str(flag.subject))
        return flag

    def _started(self, flag: Flag) -> Document:
        """What the form starts from: one's own draft, where it has this flag, else what stands."""
        started: Document = self.edit.after if self.edit else definition_document(flag)
        return started

    def _form(self, flag: Flag, data: Any, initial: dict[str, Any]) -> DefinitionForm:
        return DefinitionForm(data, project=self.project, keep_owner=flag.owner_id or "", initial=initial)

    def _show(self, flag: Flag, form: DefinitionForm, status: int = 200, **more: Any) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Edit %s") % flag.key,
            form=form,
            flag=flag,
            button=_("Save"),
            drafted=_("what this form starts from.") if self.edit else "",
            usual=VARIANTS,
            words=_words(),
            **more,
        )
