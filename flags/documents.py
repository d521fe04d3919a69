"""The two documents of a flag, how they join to the line a snapshot carries, and what makes them valid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast

from access.models import User
from audit.jcs import canonical
from audit.ledger import timestamp
from countersign.document import DocumentError, validate_environment, validate_flag, validate_segment
from countersign.jsonline import DEEPEST, LONGEST_LINE, check_json
from flags.models import Environment, Flag, FlagConfiguration, Project, Segment
from flags.reads import Reads

Document = dict[str, Any]
LARGEST_NUMBER = 2**53 - 1
MOST_EXPECTATIONS = 100
_EXPECTATION_MEMBERS = ("sentence", "environment", "context", "variant")

# A definition's members that a snapshot carries; the others describe.
SERVED_MEMBERS = ("type", "variants", "client_side", "fail_safe")
_TEXTS = (
    *("name", "description", "kind", "team", "docs_url", "purpose", "exit_criteria", "on_expiry"),
    "permanent_reason",
)
# A version and a change id as long as they get: what fits with them fits when it is published.
_LONGEST = (2**31 - 1, "CR-9999999999.99999")
DEFINITION_MEMBERS = frozenset(
    {
        *SERVED_MEMBERS,
        *_TEXTS,
        "critical",
        "owner",
        "tags",
        "temporary",
        "expires_at",
        "archived",
        "hibernation",
    }
)


def definition_document(flag: Flag) -> Document:
    """The whole definition as one document: what the ledger carries and a reviewer sees."""
    members: Document = {name: getattr(flag, name) for name in (*SERVED_MEMBERS, *_TEXTS)}
    members |= {
        "critical": flag.critical,
        "owner": flag.owner_id,
        "tags": flag.tags,
        "temporary": flag.temporary,
        "archived": flag.archived,
        "hibernation": flag.hibernation,
        "expires_at": timestamp(flag.expires_at) if flag.expires_at else None,
    }
    return {name: value for name, value in members.items() if not _is_empty(value)}


def normal_definition(document: Mapping[str, Any]) -> Document:
    """A definition as it will stand there: empty members left out, defaults written down.

    The ledger carries this form, so that a change's `before` is always the `after` of the one before.
    """
    given = {name: value for name, value in document.items() if not _is_empty(value)}
    return {
        "kind": str(Flag.Kind.RELEASE),
        "fail_safe": str(Flag.FailSafe.LAST_KNOWN_GOOD),
        "on_expiry": str(Flag.OnExpiry.ALERT),
        **given,
    }


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def fill_definition(flag: Flag, document: Mapping[str, Any]) -> None:
    """Put a definition document into a row (not saved)."""
    for name in _TEXTS:
        setattr(flag, name, document.get(name, ""))
    flag.type, flag.variants = document["type"], document["variants"]
    flag.client_side = document.get("client_side", False)
    flag.fail_safe = document.get("fail_safe", Flag.FailSafe.LAST_KNOWN_GOOD)
    flag.critical = document.get("critical", False)
    flag.owner_id = document.get("owner")
    flag.tags = document.get("tags", [])
    flag.temporary = document.get("temporary", False)
    flag.archived = document.get("archived", False)
    flag.hibernation = document.get("hibernation", {})
    expires = document.get("expires_at")
    flag.expires_at = datetime.fromisoformat(expires) if expires else None


def segment_line(segment: Segment) -> Document:
    """A segment as a snapshot carries it."""
    return {"version": segment.version, "change": segment.change_id or None, **segment.document}


def flag_line(
    definition: Mapping[str, Any], document: Mapping[str, Any], version: int = 1, change_id: str = ""
) -> Document:
    """A flag as a snapshot carries it: definition and configuration joined, empty members left out."""
    line = {
        "type": definition["type"],
        "variants": definition["variants"],
        "fail_safe": definition.get("fail_safe", Flag.FailSafe.LAST_KNOWN_GOOD),
        "version": version,
        **document,
    }
    if definition.get("client_side"):
        line["client_side"] = True
    if change_id:
        line["change"] = change_id
    return line


def segments_named(document: Mapping[str, Any]) -> set[str]:
    """The segments that a configuration's rules name."""
    return {
        name
        for rule in document.get("rules", ())
        for constraint in rule.get("constraints", ())
        if constraint.get("operator") == "in_segment"
        for name in constraint.get("values", ())
    }


def configurations_with(member: str, environments: Iterable[Environment]) -> QuerySet[FlagConfiguration]:
    """Configurations whose document mentions a word, for narrowing down before looking closely."""
    rows: QuerySet[FlagConfiguration] = (
        FlagConfiguration.objects.filter(environment__in=list(environments))
        .annotate(text=Cast("document", CharField()))
        .filter(text__contains=f'"{member}"')
        .select_related("flag", "environment__project")
    )
    return rows


def environments_using(segment_key: str, project_id: int) -> list[Environment]:
    """The environments in which some configuration names the segment."""
    environments = Environment.objects.filter(project_id=project_id)
    used = {
        configuration.environment_id: configuration.environment
        for configuration in configurations_with("in_segment", environments)
        if segment_key in segments_named(configuration.document)
    }
    return [used[key] for key in sorted(used)]


def refuse_unstorable(member: str, value: Any) -> None:
    """Raise `DocumentError`, naming the member, for what has no canonical JSON or PostgreSQL cannot keep."""
    check_json(value, member, DEEPEST)
    _refuse_unkept(member, value)


def _refuse_unkept(member: str, value: Any) -> None:
    """What canonical JSON can write, but not every place where a document ends up can keep."""
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        _refuse_unkept(member, "".join(value))
        parts = ((f"{member}.{name}", item) for name, item in value.items())
    elif isinstance(value, list):
        parts = ((f"{member}[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, str) and "\x00" in value:
        raise DocumentError(member, "contains the character U+0000; remove it")
    elif isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
        # As JCS it is an integer, and the evidence has no integers beyond these (ledger-bundle, encodings).
        raise DocumentError(member, "is beyond ±(2^53−1), which the evidence cannot carry; use a string")
    for here, item in parts:
        _refuse_unkept(here, item)


def read_moment(text: Any) -> datetime | None:
    """The moment of a time written as the ledger writes it; None for any other text."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if timestamp(moment) == text else None
    except (TypeError, ValueError, OverflowError):
        return None


def check_definition(key: str, document: Any) -> None:
    """Raise `DocumentError` unless this is a definition document that can be stored and served."""
    if not isinstance(document, dict):
        raise DocumentError("definition", "must be an object")
    refuse_unstorable("definition", document)
    unknown = sorted(set(document) - DEFINITION_MEMBERS)
    if unknown:
        raise DocumentError(
            unknown[0], f"is no member of a definition; known are {', '.join(sorted(DEFINITION_MEMBERS))}"
        )
    for name, choices in (("kind", Flag.Kind), ("on_expiry", Flag.OnExpiry)):
        if name in document and document[name] not in choices.values:
            raise DocumentError(name, f"must be one of {', '.join(choices.values)}")
    for name in (*_TEXTS, "owner", "expires_at"):
        if not isinstance(document.get(name, ""), str):
            raise DocumentError(name, "must be a string")
    for name in ("client_side", "critical", "temporary", "archived"):
        if not isinstance(document.get(name, False), bool):
            raise DocumentError(name, "must be true or false")
    if not document.get("name"):
        raise DocumentError("name", "is missing; say what people should call the flag")
    if len(document["name"]) > 128 or len(document.get("team", "")) > 128:
        raise DocumentError(
            "name" if len(document["name"]) > 128 else "team", "is longer than 128 characters"
        )
    tags = document.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        raise DocumentError("tags", "must be a list of non-empty strings")
    if not document.get("docs_url", "https://").startswith(("https://", "http://")):
        raise DocumentError("docs_url", "must start with https:// or http://")
    if len(document.get("docs_url", "")) > 200:
        raise DocumentError("docs_url", "is longer than 200 characters")
    if "expires_at" in document and read_moment(document["expires_at"]) is None:
        raise DocumentError("expires_at", "must be a time like 2026-12-31T18:00:00.000000Z")
    if "owner" in document and not User.objects.filter(pseudonym=document["owner"]).exists():
        raise DocumentError("owner", "is nobody here; name a person by their id, such as user:3f9a…")
    if "type" not in document or "variants" not in document:
        raise DocumentError("variants" if "type" in document else "type", "is missing")
    if "hibernation" in document:
        _check_hibernation(document["hibernation"], document["variants"])
    first = next(iter(document["variants"]), None) if isinstance(document["variants"], dict) else None
    validate_flag(key, flag_line(document, {"enabled": False, "default": {"variant": first}}), segments=())


def _check_hibernation(value: Any, variants: Any) -> None:
    if not isinstance(value, dict) or not {"variant", "wake_at"} <= set(value) <= {
        "variant",
        "wake_at",
        "plan",
    }:
        raise DocumentError("hibernation", "must be an object of `variant`, `wake_at` and, if any, `plan`")
    if not isinstance(variants, dict) or value["variant"] not in variants:
        raise DocumentError("hibernation.variant", "is no variant of the flag")
    if read_moment(value["wake_at"]) is None:
        raise DocumentError("hibernation.wake_at", "must be a time like 2026-12-31T18:00:00.000000Z")
    if not isinstance(value.get("plan", ""), str):
        raise DocumentError("hibernation.plan", "must be a string")


def check_segment(key: str, document: Any) -> None:
    """Raise `DocumentError` unless this is a segment document that can be stored and served."""
    if not isinstance(document, dict):
        raise DocumentError("segment", "must be an object")
    refuse_unstorable("segment", document)
    for name in ("version", "change"):
        if name in document:
            raise DocumentError(name, "is set by the server; leave it out")
    validate_segment(key, {"version": 1, **document})


def check_expectations(
    project: Project, key: str, document: Any, definitions: Mapping[str, Document]
) -> None:
    """Raise `DocumentError` unless this is a document of expectations of the flag `key`.

    `definitions`: those that would stand in place of the project's own.
    """
    if not isinstance(document, dict) or set(document) != {"expectations"}:
        raise DocumentError("expectations", "must be an object with the member `expectations`, a list")
    refuse_unstorable("expectations", document)
    entries = document["expectations"]
    if not isinstance(entries, list) or len(entries) > MOST_EXPECTATIONS:
        raise DocumentError("expectations", f"must be a list of at most {MOST_EXPECTATIONS}")
    definition = definitions.get(key)
    if definition is None:
        flag = Flag.objects.filter(project=project, key=key).first()
        if flag is None:
            raise DocumentError("expectations", f"there is no flag {key} in this project; create it first")
        definition = definition_document(flag)
    environments = {each.key: each for each in Environment.objects.filter(project=project)}
    for index, entry in enumerate(entries):
        _check_expectation(f"expectations[{index}]", entry, definition["variants"], environments)


def _check_expectation(
    member: str, entry: Any, variants: Mapping[str, Any], environments: Mapping[str, Environment]
) -> None:
    if not isinstance(entry, dict):
        raise DocumentError(member, "must be an object")
    for name in (*_EXPECTATION_MEMBERS, *entry):
        if name not in entry:
            raise DocumentError(f"{member}.{name}", "is missing")
        if name not in (*_EXPECTATION_MEMBERS, "region"):
            known = ", ".join((*_EXPECTATION_MEMBERS, "region"))
            raise DocumentError(f"{member}.{name}", f"is unknown; an expectation has {known}")
    sentence = entry["sentence"]
    if not isinstance(sentence, str) or not 0 < len(sentence.strip()) <= 200:
        raise DocumentError(f"{member}.sentence", "must say in at most 200 characters who gets what")
    if not isinstance(entry["environment"], str) or entry["environment"] not in environments:
        known = ", ".join(environments) or "none"
        raise DocumentError(
            f"{member}.environment", f"{entry['environment']!r} is no environment here; there are: {known}"
        )
    regions = environments[entry["environment"]].regions
    if "region" in entry and entry["region"] not in regions:
        known = ", ".join(regions) or "none"
        raise DocumentError(
            f"{member}.region", f"{entry['region']!r} is no region of {entry['environment']}; it has: {known}"
        )
    if not isinstance(entry["context"], dict):
        raise DocumentError(f"{member}.context", 'must be an object such as {"targetingKey": "customer-1"}')
    variant = entry["variant"]
    if variant is not None and (not isinstance(variant, str) or variant not in variants):
        raise DocumentError(
            f"{member}.variant",
            f"{variant!r} is no variant of the flag; it has {', '.join(variants)} (null: the caller's default)",
        )


def check_environment(
    environment: Environment,
    configurations: Mapping[str, Document],
    definitions: Mapping[str, Document],
    segments: Mapping[str, Document],
    reads: Reads | None = None,
) -> None:
    """Raise `DocumentError` unless the environment is valid with these documents in place of its own.

    Looks at what changed, at all flags with prerequisites and at what they name: not at 10,000 flags for
    a change of one.
    """
    for key, document in configurations.items():
        if not isinstance(document, dict):
            raise DocumentError("configuration", "must be an object")
        refuse_unstorable(f"flags.{key}", document)
        for name in (*SERVED_MEMBERS, "version", "change"):
            if name in document:
                raise DocumentError(name, "belongs to the flag's definition or the server; leave it out")
        regions = document.get("regions")
        for region in regions if isinstance(regions, dict) else ():
            if region not in environment.regions:
                known = ", ".join(environment.regions) or "none"
                raise DocumentError(
                    f"regions.{region}", f"is no region of {environment.key}; it has: {known}"
                )
    reads = reads or Reads()
    lines = _lines(environment, configurations, definitions, reads)
    names = {name for line in lines.values() for name in segments_named(_readable(line))}
    known_segments = {
        segment.key: segment_line(segment)
        for segment in reads.rows(
            Segment.objects.filter(project_id=environment.project_id, key__in=sorted(names))
        )
    }
    known_segments |= {key: {"version": 1, **document} for key, document in segments.items()}
    validate_environment(lines, known_segments)


def check_segments_fit(
    environment: Environment,
    configurations: Mapping[str, Document],
    segments: Mapping[str, Document],
    reads: Reads | None = None,
) -> None:
    """Raise `DocumentError` where all segments that the environment uses do not fit a snapshot's first line.

    `configurations` and `segments`: the valid documents that would stand there.
    """
    names = {name for document in configurations.values() for name in segments_named(document)}
    if not names and not segments:
        return
    reads = reads or Reads()
    for row in reads.rows(configurations_with("in_segment", [environment])):
        if row.flag.key not in configurations:
            names |= segments_named(row.document)
    version, change_id = _LONGEST
    used = {
        segment.key: segment.document
        for segment in reads.rows(
            Segment.objects.filter(project_id=environment.project_id, key__in=sorted(names))
        )
    }
    used |= {key: document for key, document in segments.items() if key in names}
    line = {key: {**document, "version": version, "change": change_id} for key, document in used.items()}
    if (size := len(canonical({"segments": line}))) > LONGEST_LINE:
        raise DocumentError(
            "segments",
            f"that {environment.key} uses take {size} bytes in its snapshot, more than {LONGEST_LINE}; "
            "list fewer keys",
        )


def _readable(line: Document) -> Document:
    """A line whose rules can be walked; what is malformed is named by the validator, not here."""
    rules = line.get("rules")
    if not isinstance(rules, list):
        return {}
    return {
        "rules": [
            {
                "constraints": [
                    c for c in rule["constraints"] if isinstance(c, dict) and _texts(c.get("values"))
                ]
            }
            for rule in rules
            if isinstance(rule, dict) and isinstance(rule.get("constraints"), list)
        ]
    }


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _lines(
    environment: Environment,
    configurations: Mapping[str, Document],
    definitions: Mapping[str, Document],
    reads: Reads,
) -> dict[str, Document]:
    """The lines to validate together: the changed ones, those with prerequisites, and what these name."""
    lines: dict[str, Document] = {}

    def add(query: QuerySet[FlagConfiguration]) -> None:
        for row in reads.rows(query):
            definition = definitions.get(row.flag.key) or definition_document(row.flag)
            if definition.get("archived"):
                continue  # it is in no snapshot
            document = configurations.get(row.flag.key, row.document)
            lines.setdefault(row.flag.key, flag_line(definition, document, *_LONGEST))

    add(configurations_with("prerequisites", [environment]))
    changed = set(configurations) | set(definitions)
    rows = FlagConfiguration.objects.filter(environment=environment).select_related("flag")
    add(rows.filter(flag__key__in=sorted(changed)))
    for key, document in configurations.items():
        if key not in lines:
            definition = definitions.get(key)
            if definition is None:
                found = reads.rows(Flag.objects.filter(project_id=environment.project_id, key=key))
                if not found:
                    raise DocumentError(
                        f"flags.{key}", "there is no such flag in this project; create it first"
                    )
                definition = definition_document(found[0])
            lines[key] = flag_line(definition, document, *_LONGEST)
    named = {
        entry["flag"]
        for line in lines.values()
        for entry in _entries(line.get("prerequisites"))
        if isinstance(entry, dict) and isinstance(entry.get("flag"), str)
    }
    add(rows.filter(flag__key__in=sorted(named - set(lines))))
    return lines
