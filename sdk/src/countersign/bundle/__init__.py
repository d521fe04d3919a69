"""Verifying ledger export bundles offline, from the auditor's trust file alone (``ledger-bundle/v1``)."""

from countersign.bundle.proof import ProofReport, verify_proof
from countersign.bundle.refusal import BundleError
from countersign.bundle.report import Continues, Report, Witness
from countersign.bundle.trust import Trust, TrustError
from countersign.bundle.verify import verify_bundle, verify_bundles

__all__ = [
    "BundleError",
    "Continues",
    "ProofReport",
    "Report",
    "Trust",
    "TrustError",
    "Witness",
    "verify_bundle",
    "verify_bundles",
    "verify_proof",
]
