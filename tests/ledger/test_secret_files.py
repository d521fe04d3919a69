"""Secrets in files: several threads and processes at once lose none and leave no half of one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from audit import signing
from audit.secret_files import kept_secret, replace_secret

NAME = "shop.example/ledger"


def at_once(number: int, act: Callable[[int], object]) -> list[Exception]:
    problems: list[Exception] = []
    start = threading.Barrier(number)

    def run(n: int) -> None:
        start.wait()
        try:
            act(n)
        except Exception as error:  # noqa: BLE001 - whatever it is, there should be none
            problems.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def test_a_file_that_several_replace_at_once_is_one_of_theirs_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    texts = {str(n) * 50_000 for n in range(8)}
    for _ in range(10):
        assert at_once(8, lambda n: replace_secret(path, str(n) * 50_000)) == []
        assert path.read_text() in texts
    assert [each.name for each in tmp_path.iterdir()] == ["kept"], "no draft is left"


def test_a_secret_that_several_make_at_once_is_the_same_for_all(tmp_path: Path) -> None:
    seen: set[str] = set()
    path = tmp_path / "made"
    assert at_once(8, lambda n: seen.add(kept_secret(path, lambda: f"secret {n}"))) == []
    assert seen == {path.read_text()}


def test_of_keys_that_several_make_at_once_none_is_lost(own_keys: Path) -> None:
    present = signing.host_signers(NAME)[0].vkey
    assert at_once(8, lambda _: signing.make_key(NAME)) == []
    held = [signer.vkey for signer in signing.host_signers(NAME)]
    assert len(set(held)) == 9
    assert held[-1] == present
