"""Editing many flags at once, into the draft, so that it is looked at as a whole before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access.permissions import require
from approvals import archive, drafting
from approvals.workflow.archiving import blockers
from audit.actor import Actor
from flags import wording
from flags.admin import drafts
from flags.documents import Document, definition_document
from flags.models import Environment, Flag, FlagConfiguration, Project
from flags.subjects import Subject

MOST = 200


class BulkError(ValueError):
    """Nothing was drafted; the text says why and what to do."""


def edit(actor: Actor, project: Project, keys: Iterable[str], what: str, tag: str = "") -> str:
    """Draft the same edit of each flag; returns in words how many it was, and what was left out.

    `what`: `on:<environment>`, `off:<environment>`, `tag` or `archive`. Raises `BulkError` and what
    `drafting.collect` raises.
    """
    require(actor, "change.propose", project)
    flags = list(Flag.objects.filter(project=project, key__in=set(keys), archived=False).order_by("key"))
    if not flags:
        raise BulkError(_("Tick at least one flag first."))
    if len(flags) > MOST:
        raise BulkError(_("These are more than %d flags; tick fewer.") % MOST)
    held = {each.subject: each.after for each in drafting.edits_of(actor, project)}
    verb, _colon, key = what.partition(":")
    environment = Environment.objects.filter(project=project, key=key).select_related("project").first()
    if verb in ("on", "off") and environment:
        operations, base, why = _switched(project, flags, environment, verb == "on", held)
    elif verb == "tag" and tag.strip():
        operations, base, why = _tagged(project, flags, tag.strip(), held)
    elif verb == "tag":
        raise BulkError(_("Say which tag to add."))
    elif verb == "archive":
        operations, base, why = _archived(project, flags, held)
    else:
        raise BulkError(_("Choose what to do with the ticked flags."))
    if operations:
        drafting.collect(actor, project, operations, base)
    done = len({Subject.parse(each["subject"]).key for each in operations})
    left = ngettext("%(n)d was left out: %(why)s", "%(n)d were left out: %(why)s", len(flags) - done)
    left = left % {"n": len(flags) - done, "why": why}
    if not done:
        raise BulkError(_("Nothing is changed in your draft. %s") % left)
    told = ngettext(
        "%d flag is changed in your draft. Nobody was asked yet.",
        "%d flags are changed in your draft. Nobody was asked yet.",
        done,
    )
    return f"{told % done} {left}" if done < len(flags) else told % done


_Edits = tuple[list[dict[str, Any]], dict[str, int], str]


def _switched(
    project: Project, flags: list[Flag], environment: Environment, on: bool, held: dict[str, Document]
) -> _Edits:
    """What is so already stays, and a kill is lifted one by one, never by the way."""
    rows = FlagConfiguration.objects.filter(flag__in=flags, environment=environment)
    configurations = {row.flag_id: row for row in rows}
    operations, base = [], {}
    for flag in flags:
        row = configurations.get(flag.pk)
        subject = str(Subject("configuration", project.key, flag.key, environment.key))
        document = held.get(subject) or (row.document if row else drafts.starting_document(flag))
        if wording.is_on(document) != on and not (on and document.get("killed")):
            operations.append({"subject": subject, "after": drafts.switched(document, on)})
            base[subject] = row.version if row else 0
    return operations, base, _("on there already, or killed.") if on else _("off there already.")


def _tagged(project: Project, flags: list[Flag], tag: str, held: dict[str, Document]) -> _Edits:
    operations, base = [], {}
    for flag in flags:
        subject = str(Subject("definition", project.key, flag.key))
        document = held.get(subject) or definition_document(flag)
        if tag not in document.get("tags", ()):
            operations.append(
                {"subject": subject, "after": {**document, "tags": [*document.get("tags", ()), tag]}}
            )
            base[subject] = flag.version
    return operations, base, _("tagged so already.")


def _archived(project: Project, flags: list[Flag], held: dict[str, Document]) -> _Edits:
    """Those that nothing keeps, their expectations ending with them; what the draft turns off counts as off."""
    drafted: dict[str, dict[str, Document]] = {}
    for text, after in held.items():
        each = Subject.parse(text)
        if each.kind == "configuration":
            drafted.setdefault(each.environment, {})[each.key] = after
    operations, base = [], {}
    for flag in flags:
        if blockers(project, flag.key, drafted):
            continue
        subject = str(Subject("definition", project.key, flag.key))
        document = held.get(subject) or definition_document(flag)
        operations.append({"subject": subject, "after": {**document, "archived": True}})
        base[subject] = flag.version
        for row in archive.expectations_of(flag):
            operations.append({"subject": row.ledger_subject, "after": {"expectations": []}})
            base[row.ledger_subject] = row.version
    return operations, base, _("they are in use; each flag's own page says by what.")
