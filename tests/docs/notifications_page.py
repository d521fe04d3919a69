"""Renders docs/notifications.md from the table of kinds.

`python -m tests.docs.notifications_page > docs/notifications.md`
"""

from __future__ import annotations

from access.notifications.kinds import KINDS, PERSONAL

BEFORE = """\
# Notifications

The table on this page is made from the one in `access/notifications/kinds.py`, and a test keeps the two the same.
After a change: `.venv/bin/python -m tests.docs.notifications_page > docs/notifications.md`.

A notification is written in the transaction that causes it: what did not happen is told to nobody, and what happened
is told for certain. A task delivers it within seconds. A mail server or webhook that is down or slow holds up
nothing.

Nobody is told of what they may not see, and nobody of what they did themselves, but for changes of their own account.
That is asked when it is told, and again when it is delivered and shown: whoever lost the role meanwhile finds
nothing.

## Who is told what

"""
AFTER = """

¹ Webhooks and chats of projects are not told of it.

## By which channels

**In the app**: the bell on every page, and the list behind it. **E-mail**: to the address of your account, if it has
one. **Chat**: to chats that you connect. The defaults are in the table; choose others under *Notifications →
Settings*, which is also where the link in each mail leads, or over the API:

    curl -X PATCH -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
      "$URL/api/v1/notification-settings" -d '{"kinds": {"request.waiting": {"mail": false, "chat": true}}}'

Projects have **webhooks** and **chats** of their own, each of which is told the kinds that were chosen for it.
Administrators manage them (`webhook.manage`) under *Webhooks*. Connecting, changing, rotating, trying and deleting
them are events of the ledger, which has their host or service, and neither paths nor secrets. A person's own choices
and chats are not in it: nobody else is concerned.

A mail looks like this. It holds no secret, and whoever gets it twice sees it once by its `Message-ID`:

    Subject: [Shop] CR-12 waits for your review: Banner on in production
    List-Unsubscribe: <https://flags.example.com/admin/notifications/settings/>

    CR-12 waits for your review: Banner on in production

    https://flags.example.com/admin/p/shop/requests/12/

    --
    You get this because a change request waits for review. Choose what you get: https://flags.example.com/…

## A webhook

    curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" "$URL/api/v1/webhooks" \\
      -d '{"project": "shop", "name": "incidents", "url": "https://example.com/hooks", "kinds": ["flag.killed"]}'

answers with the `secret`, once. A delivery is a `POST` as [Standard Webhooks](https://www.standardwebhooks.com) has
it:

    POST /hooks
    Content-Type: application/json
    webhook-id: msg_0e6c1b0d7f4b4c1f9a53c2f0a8d1e7b2
    webhook-timestamp: 1795633200
    webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=

    {"data":{"by":"user:3f9a0c1d2e4b","environment":"production","flag":"banner",
     "link":"https://flags.example.com/admin/p/shop/flags/banner/","project":"shop",
     "says":"user:3f9a0c1d2e4b killed banner in production"},
     "timestamp":"2026-11-25T19:00:00.000000Z","type":"flag.killed"}

`data` has what the sentence in the table names, and people by their ids: whoever receives it needs no names. A
receiver checks the signature with any of the published libraries:

    from standardwebhooks.webhooks import Webhook
    message = Webhook(SECRET).verify(body, headers)

Any answer of 2xx means that it arrived; no redirect is followed. Anything else is tried again, with the same
`webhook-id`, after 10 seconds, then after 40, and so on: eight times over about fifteen hours, each pause by chance
up to half of it shorter. Then it is given up, and the project's administrators are told. 410 is given up at once. It
is delivered **at least once**: a worker that was killed between sending and writing that down sends it again, so keep
the ids that you have seen for a day.

*Deliveries* (`/api/v1/deliveries`) has every try with its time, status, problem and the beginning of the answer, for
ninety days, and sends again what you choose:

    curl -X POST -H "Authorization: Bearer $TOKEN" "$URL/api/v1/deliveries/17/redeliver"

**Rotating the secret**: `POST /api/v1/webhooks/3/rotate` with `{"overlap": 86400}`. For so many seconds, a week at
most, both secrets sign each message (`webhook-signature` then has two), so that receivers can change over.

## A chat

    curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" "$URL/api/v1/chats" \\
      -d '{"project": "shop", "name": "#releases", "url": "slack://T000/B000/XXXX/#releases", "kinds": ["flag.killed"]}'

Without `project` it is your own. The address is one of [apprise](https://appriseit.com/services/)'s: `slack`,
`discord`, `tgram` (Telegram), `gchat` and `wxteams` (Webex), whose hosts are known; `mmosts` (Mattermost), `rockets`
(Rocket.Chat), `ntfys`, `nctalks` (Nextcloud Talk) and `workflows` (Microsoft Teams), on a host of yours; or the
`https://` address that the service itself shows. It is as good as a password: stored encrypted, shown with its
secrets starred out, and in no log.

## Addresses

Webhooks and chats are asked over HTTPS at public addresses only, at the address that was looked up, without
redirects, and for fifteen seconds at most. So nobody who may connect one reaches into the network of the server.
Hosts inside are named by whoever runs the server: `COUNTERSIGN_PRIVATE_RECEIVERS` ([settings](settings.md)).

Secrets are encrypted like those of [identity providers](signing-in.md#secrets), and `manage.py reseal_secrets`
encrypts them anew. Notifications are deleted after ninety days.
"""


def render() -> str:
    """The whole page."""
    channels = " | ".join(str(each.label) for each in PERSONAL)
    rows = [f"| kind | when | who | {channels} |", "|---|---|---|" + ":-:|" * len(PERSONAL)]
    for name, kind in KINDS.items():
        marks = " | ".join("✓" if each in kind.defaults else "" for each in PERSONAL)
        note = "" if kind.is_of_project and kind.is_for_receivers else " ¹"
        rows.append(f"| `{name}`{note} | {kind.purpose} | {kind.audience} | {marks} |")
    return BEFORE + "\n".join(rows) + AFTER


if __name__ == "__main__":
    print(render(), end="")
