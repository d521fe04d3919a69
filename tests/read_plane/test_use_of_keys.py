"""Which keys were used is counted in memory, for whoever asks now and then."""

from distribution.read_plane import ReadPlane

from .client import Client
from .publisher import SERVER_KEY


def test_a_key_that_was_used_is_named_once(serving: ReadPlane) -> None:
    for key in (SERVER_KEY, SERVER_KEY, "unknown"):
        Client(serving, key).get("/sdk/v1/snapshot")
    found = serving.holder.find_key(SERVER_KEY)
    assert found is not None
    assert serving.take_used() == {found[0].id}
    assert serving.take_used() == set()
