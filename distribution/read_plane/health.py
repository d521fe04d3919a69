"""`/livez` and `/readyz`: whether this process runs, whether it has something to serve, and how old."""

import time
from datetime import UTC, datetime
from typing import Any

from distribution.read_plane.answer import Answer, json_answer
from distribution.read_plane.holder import Held, Holder
from distribution.read_plane.refresher import Refresher


def answer_live() -> Answer:
    """Always 200: who can answer this is alive."""
    return json_answer(200, {"status": "ok"})


def answer_ready(holder: Holder, refresher: Refresher) -> Answer:
    """200 `ok` or `degraded`, or 503 `starting`/`unavailable`, naming every dependency and environment.

    Ready means that there was contact with a source or the last-known-good directory, and that something can
    be served, or nothing was published. One environment that cannot be loaded degrades the answer but does
    not take the others out of service; neither does a store that knows only older versions than are in use.
    """
    environments = holder.environments()
    dependencies = refresher.dependencies()
    expected, older = refresher.published(), refresher.older()
    loaded = {name for name, held in environments.items() if held.snapshot is not None}
    described = {
        name: _describe(name, environments.get(name, Held()), holder)
        | ({"older_in_store": older[name]} if name in older else {})
        for name in sorted(expected | set(environments))
    }
    if not refresher.in_contact():
        status, code = "starting", 503
    elif expected and not loaded:
        status, code = "unavailable", 503
    elif expected - loaded or older or any(dependency.failing for dependency in dependencies):
        status, code = "degraded", 200
    else:
        status, code = "ok", 200
    document = {
        "status": status,
        "dependencies": [dependency.describe() for dependency in dependencies],
        "environments": described,
    }
    return json_answer(code, document, headers={} if code == 200 else {"retry-after": "2"})


def _describe(name: str, held: Held, holder: Holder) -> dict[str, Any]:
    """`age_seconds` since it was signed; `confirmed_seconds_ago` since a store named it as its newest."""
    described: dict[str, Any] = {"snapshot": None, "keyring": held.keyring.version if held.keyring else None}
    if held.snapshot is not None:
        confirmed = holder.confirmed_age(name, "snapshot")
        described["snapshot"] = held.snapshot.version
        described["age_seconds"] = _age(str(held.snapshot.created))
        described["confirmed_seconds_ago"] = None if confirmed is None else round(confirmed, 1)
    if held.refusal is not None:
        described["refused"] = {
            "what": held.refusal.kind,
            "from": held.refusal.source,
            "reason": held.refusal.reason,
            "seconds_ago": round(time.time() - held.refusal.at, 1),
        }
    return described


def _age(created: str) -> float | None:
    try:
        then = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return None
    return round(max(0.0, (datetime.now(UTC) - then).total_seconds()), 1)
