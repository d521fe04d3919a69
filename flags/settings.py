"""An environment's settings as a document: what may stand there, and how it comes into the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from countersign.document import DocumentError
from flags.models import Environment

SETTINGS = ("name", "kind", "protected", "position", "regions", "bucketing")
_DEFAULTS: dict[str, Any] = {"protected": False, "position": 0, "regions": []}


def fill_settings(environment: Environment, document: Mapping[str, Any]) -> None:
    """Put a settings document into a row (not saved); empty members are left out of documents."""
    for name in SETTINGS:
        if name in document or name in _DEFAULTS:
            setattr(environment, name, document.get(name, _DEFAULTS.get(name)))


def refuse_settings(environment: Environment) -> None:
    """Raise ValidationError naming the members at fault of a row that was filled."""
    regions = environment.regions
    if not isinstance(regions, list) or not all(isinstance(region, str) and region for region in regions):
        raise ValidationError({"regions": "must be a list of names"})
    if not isinstance(environment.protected, bool):
        raise ValidationError({"protected": "must be true or false"})
    environment.clean_fields()


def check_settings(environment: Environment, document: Any) -> None:
    """Raise `DocumentError` unless this may stand as the environment's settings."""
    if not isinstance(document, Mapping):
        raise DocumentError("settings", "must be an object; an environment cannot be removed")
    if unknown := sorted(set(document) - set(SETTINGS)):
        raise DocumentError(unknown[0], f"is no setting of an environment; known are {', '.join(SETTINGS)}")
    draft = Environment(project=environment.project, key=environment.key)
    fill_settings(draft, document)
    try:
        refuse_settings(draft)
    except ValidationError as error:
        member, reasons = next(iter(error.message_dict.items()))
        raise DocumentError(member, reasons[0]) from error


def normal_settings(environment: Environment, document: Mapping[str, Any]) -> dict[str, Any]:
    """A whole settings document as it will stand there."""
    draft = Environment(project=environment.project, key=environment.key)
    fill_settings(draft, document)
    return draft.document
