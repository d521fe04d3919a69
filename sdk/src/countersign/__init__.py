"""Countersign for services and auditors.

Services evaluate flags locally from a signed snapshot; auditors verify evidence offline.
"""

from countersign.client import Client
from countersign.document import DocumentError
from countersign.dsn import DsnError
from countersign.evaluation import Result, evaluate
from countersign.snapshot import Snapshot, SnapshotError

__all__ = ["Client", "DocumentError", "DsnError", "Result", "Snapshot", "SnapshotError", "evaluate"]
