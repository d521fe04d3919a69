"""How programs connect with an SDK key, to copy: by our client, and by published OpenFeature clients over OFREP."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from distribution import keys
from distribution.models import SdkKey

_PYTHON = """\
from countersign import Client

flags = Client("{dsn}")
flags.wait_until_ready(timeout=5)
flags.get_boolean_value("my-flag", False, {{"targetingKey": "customer-1017"}})"""
_PYTHON_OFREP = """\
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

api.set_provider(OFREPProvider("{base}", headers_factory=lambda: {{"Authorization": "Bearer {secret}"}}))
api.get_client().get_boolean_value("my-flag", False, EvaluationContext("customer-1017"))"""
_NODE = """\
import {{ OpenFeature }} from '@openfeature/server-sdk';
import {{ OFREPProvider }} from '@openfeature/ofrep-provider';

const headers = [['Authorization', 'Bearer {secret}']];
await OpenFeature.setProviderAndWait(new OFREPProvider({{ baseUrl: '{base}', headers }}));
await OpenFeature.getClient().getBooleanValue('my-flag', false, {{ targetingKey: 'customer-1017' }});"""
_WEB = """\
import {{ OpenFeature }} from '@openfeature/web-sdk';
import {{ OFREPWebProvider }} from '@openfeature/ofrep-web-provider';

await OpenFeature.setContext({{ targetingKey: 'customer-1017' }});
const headers = [['Authorization', 'Bearer {secret}']];
await OpenFeature.setProviderAndWait(new OFREPWebProvider({{ baseUrl: '{base}', headers }}));
OpenFeature.getClient().getBooleanValue('my-flag', false);"""
_CURL = """\
curl -sS -X POST '{base}/ofrep/v1/evaluate/flags/my-flag' \\
  -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \\
  -d '{{"context": {{"targetingKey": "customer-1017"}}}}'"""


def snippets(key: SdkKey, secret: str) -> list[tuple[str, str, str]]:
    """A name, what to know, and the code for each client that this side of key is for."""
    server = [
        ("Python", _("Evaluates in your process; needs the package countersign."), _PYTHON),
        ("Python, OpenFeature", _("Needs openfeature-provider-ofrep."), _PYTHON_OFREP),
        ("Node.js, OpenFeature", _("Needs @openfeature/server-sdk and @openfeature/ofrep-provider."), _NODE),
    ]
    web = [
        ("Browser, OpenFeature", _("Needs @openfeature/web-sdk and @openfeature/ofrep-web-provider."), _WEB),
    ]
    every = ("curl", _("Any language: the OpenFeature Remote Evaluation Protocol."), _CURL)
    places = {"dsn": keys.dsn(key.environment, secret), "base": settings.BASE_URL, "secret": secret}
    of_side = web if key.side == SdkKey.Side.CLIENT else server
    return [(name, note, code.format(**places)) for name, note, code in [*of_side, every]]
