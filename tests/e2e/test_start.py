"""`make run`: the second start goes on where the first one ended."""

from __future__ import annotations

from tests.e2e.installation import Installation


def test_a_second_start_keeps_the_data_and_says_so(embedded: Installation) -> None:
    before = embedded.demo
    embedded.stop()
    embedded.start()
    assert embedded.demo == before
    assert "There is data already" in embedded.log()


def test_the_demo_s_evidence_is_accepted_and_refused_once_a_byte_differs(
    embedded: Installation, tmp_path_factory: object
) -> None:
    import random
    import shutil
    from pathlib import Path

    from countersign.bundle import BundleError, Trust, verify_bundle

    base: Path = tmp_path_factory.mktemp("evidence")  # type: ignore[attr-defined]
    bundle = base / "bundle"
    embedded.manage("export_bundle", str(bundle))
    trust = Trust.parse(embedded.manage("ledger_trust").encode())
    report = verify_bundle(bundle, trust)
    assert report.size > 300
    draw = random.Random(7)  # noqa: S311  (which bytes to change, the same in every run)
    for file in sorted(path for path in bundle.rglob("*") if path.is_file()):
        original = file.read_bytes()
        for position in {0, len(original) - 1, *(draw.randrange(len(original)) for _ in range(15))}:
            changed = bytearray(original)
            changed[position] ^= 1 << draw.randrange(8)
            file.write_bytes(changed)
            try:
                verify_bundle(bundle, trust)
            except BundleError:
                continue
            finally:
                file.write_bytes(original)
            raise AssertionError(f"{file.name}: byte {position} was changed and the bundle accepted")
    shutil.rmtree(base)
