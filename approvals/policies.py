"""What a change needs before it may be applied: all policies that match it, together, and the floor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from access.limits import Touched
from approvals.models import ApprovalPolicy
from approvals.policy_document import Policy, Requirements, read_policy
from flags.models import Environment, Flag, Project
from flags.reads import Reads

# No policy takes this away: whoever wants less says that the environment is not protected.
FLOOR = Requirements(
    approvals=1, rationale=True, asked_by=(("Protected environments", "1 approval and a rationale"),)
)
NONE = Requirements()


class Rules:
    """The policies of a project, read once: for whoever asks more than once."""

    def __init__(self, project: Project, reads: Reads | None = None) -> None:
        rows = (reads or Reads()).rows(ApprovalPolicy.objects.filter(project=project).order_by("key"))
        self.policies: dict[str, Policy] = {row.key: read_policy(row.document) for row in rows}

    def ask(self, environments: Iterable[Environment], touched: Iterable[Touched] = ()) -> Requirements:
        """What a change needs that reaches these environments and touches these flags in them."""
        environments = list(environments)
        needs = FLOOR if any(environment.protected for environment in environments) else NONE
        # What is reached without a flag of its own at hand is held to what asks for every flag.
        reached = {*touched, *(Touched(environment.key) for environment in environments)}
        for policy in self.policies.values():
            if any(policy.matches(each) for each in reached):
                needs |= policy.needs
        return needs

    def ask_for_access(self) -> Requirements:
        """What giving and taking roles in the project needs."""
        needs = NONE
        for policy in self.policies.values():
            if policy.access:
                needs |= policy.needs
        return needs

    def on_call_may_revert(self, touched: Iterable[Touched]) -> bool:
        """Whether on-call may take back at once all that is touched: the strictest policy wins here too.

        Each needs a policy that lets them, and none that asks for approvals and does not.
        """
        return all(self._lets_on_call_revert(each) for each in touched)

    def _lets_on_call_revert(self, touched: Touched) -> bool:
        matching = [policy for policy in self.policies.values() if policy.matches(touched)]
        return any(policy.on_call_may_revert for policy in matching) and all(
            policy.on_call_may_revert or not policy.needs.approvals for policy in matching
        )


def requirements(
    project: Project, environments: Iterable[Environment], touched: Iterable[Touched] = ()
) -> Requirements:
    """The same for a single question."""
    return Rules(project).ask(environments, touched)


def touched_flag(flag: Flag, environment: Environment) -> Touched:
    """A flag in an environment, as far as policies and limits ask."""
    return touched_as(what_governs(flag), environment.key, protected=environment.protected)


def what_governs(flag: Flag) -> dict[str, Any]:
    """The members of a flag's definition that policies and limits ask for."""
    return {"kind": flag.kind, "tags": flag.tags, "critical": flag.critical}


def touched_as(definition: Mapping[str, Any], environment: str | None, *, protected: bool) -> Touched:
    """The same of a flag as a definition says it is, which need not stand (yet)."""
    return Touched(
        environment,
        str(definition.get("kind", "")),
        frozenset(definition.get("tags", ())),
        bool(definition.get("critical", False)),
        protected,
    )


def on_call_may_revert(project: Project, touched: Iterable[Touched], reads: Reads | None = None) -> bool:
    """Whether on-call may take back at once all that is touched; False where that is served nowhere."""
    served = [each for each in touched if each.environment is not None]
    return bool(served) and Rules(project, reads).on_call_may_revert(served)


def requirements_of(environments: Iterable[Environment]) -> dict[int, Requirements]:
    """What each environment (by primary key) asks for whatever flag is changed: for lists of one project."""
    environments = list(environments)
    if not environments:
        return {}
    rules = Rules(environments[0].project)
    return {environment.pk: rules.ask([environment]) for environment in environments}
