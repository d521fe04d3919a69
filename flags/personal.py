"""What looks like personal data in places from which nothing can be erased: the UI warns, and refuses nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

# A constraint such as `ends_with @example.com` names nobody, so something stands before the sign.
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}\.[A-Za-z]{2,24}\b")
# Where a document names people: by targeting key or by the values that a rule compares.
_NAMING = ("targets", "rules", "included", "excluded")


def addresses_in(documents: Iterable[Any], texts: Iterable[str] = ()) -> int:
    """How many different e-mail addresses these documents name people by, and these texts contain."""
    looked_at = [*texts]
    for document in documents:
        if isinstance(document, Mapping):
            naming = {name: document[name] for name in _NAMING if name in document}
            looked_at.append(json.dumps(naming, ensure_ascii=False))
    return len({address.lower() for text in looked_at for address in _ADDRESS.findall(text)})
