"""Whether a call may be carried out: rules first, then rates, then a person."""

from pathlib import Path

from agent_api.calls import Decision
from agent_toolproxy.call import Call
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import CallDenied
from agent_toolproxy.rules.approvals import Approvals, Show
from agent_toolproxy.rules.matching import find_rule
from agent_toolproxy.rules.rates import Rates


class RuleBook:
    """The same for MCP and REST, for programs, built-in tools and servers."""

    def __init__(self, current: CurrentConfig, rates: Rates, approvals: Approvals) -> None:
        self._current = current
        self._rates = rates
        self.approvals = approvals

    async def admit(self, tool: str, call: Call, show: Show) -> Decision:
        """Who let the call be: the rules, or a person. `show` gives arguments as a person may see them.

        Raises CallDenied, RateExceeded, ApprovalDenied, ApprovalPending.
        """
        policy = self._current.policy
        rule = find_rule(policy.rules, tool, call.arguments)
        if rule is not None and rule.action == "deny":
            raise CallDenied(f"a rule denies this call of {tool}" + (f": {rule.reason}" if rule.reason else ""))
        self._rates.count(policy.rates, tool)
        if rule is None or rule.action == "allow":
            return "allowed"
        await self.approvals.require(tool, call, reason=rule.reason, policy=policy, show=show)
        return "asked"


def open_rules(current: CurrentConfig, folder: Path) -> RuleBook:
    """The rule book with what an earlier process left in `folder`. Blocks."""
    rates, approvals = Rates(folder / "call-counts.json"), Approvals(folder / "approvals.json")
    rates.load()
    approvals.load()
    return RuleBook(current, rates, approvals)
