"""What the operator and a gateway write to each other about a budget, and what a gateway makes of an order.

The operator sends an *order*: how much this Pod may spend of each limit, as an absolute amount within a window. The
gateway answers with a *receipt*: what it has spent of that. An order whose serial is not above the highest one that
was seen changes nothing, so an old one that arrives late, twice, or from an operator that no longer leads is void.

At the end of a window a gateway keeps what it has not spent, as its slice of the next one: the operator counts the
same, so an idle agent costs no message and no write. It does so only while the operator was heard of in the last
`CARRY_S` before; a Pod that was cut off is held to have nothing a little later.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from agent_api.budget.limits import LIMITS, window_at, window_start
from agent_api.model import LARGEST_INTEGER, Report

CARRY_S: Final = 3600.0
"""How long before the end of a window the operator must have been heard of for the rest to be carried over."""
MOST_AMOUNT: Final = 10**18
"""Of tokens or millionths of a dollar: more is a mistake or a lie."""
GRANT_PATH: Final = "/grant"
"""On the gateway's ops port: POST an order, get a receipt; both signed, with one nonce."""

Amount = Annotated[int, Field(ge=0, le=MOST_AMOUNT)]
Serial = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
WindowNumber = Annotated[int, Field(ge=0, le=2**40)]
LimitName = Annotated[str, Field(max_length=32)]


class Slice(Report):
    """One limit in an order."""

    limit: LimitName
    window: WindowNumber
    cap: Amount = Field(description="What the Pod may have spent by the end of the window, from its start.")
    overrun: bool = Field(
        default=False, description="One request may go over the cap, alone. At most one Pod of an agent has it."
    )
    exhausted: bool = Field(default=False, description="Nothing of this limit is left to be granted in the window.")


class GrantOrder(Report):
    """From the operator."""

    serial: Serial
    issued_at: float = Field(ge=0, description="Seconds of the epoch.")
    lowers: bool = Field(
        default=False, description="It can take away only: a cap that is lower already stays, as do limits not in it."
    )
    slices: Annotated[tuple[Slice, ...], Field(max_length=len(LIMITS))] = ()


class Standing(Report):
    """One limit in a receipt. `wanted` is what a request that waits, or was refused lately, would need at once."""

    limit: LimitName
    window: WindowNumber
    cap: Amount
    spent: Amount
    reserved: Amount = Field(default=0, description="By requests that are on their way.")
    overrun: bool = False
    wanted: Amount = 0


class GrantReceipt(Report):
    """From the gateway: what holds once the order is obeyed, also over a restart of the gateway."""

    serial: Serial = Field(description="The highest one seen: every order up to it is void from now on.")
    standings: Annotated[tuple[Standing, ...], Field(max_length=len(LIMITS))] = ()


class LastReceipt(Report):
    """What a gateway leaves in its container's termination message: the receipt as it was signed, and the signature.

    It has given back what it did not spend before it wrote this.
    """

    receipt: Annotated[str, Field(max_length=3500)]
    signature: Annotated[str, Field(max_length=128)]


class Holding(Report):
    """One limit as a gateway has it. `spent` is written down before a request is sent."""

    window: WindowNumber
    cap: Amount = 0
    spent: Amount = 0
    overrun: bool = False

    def spend(self, amount: int) -> "Holding":
        """What is held after a request. Its parts are known to be valid: this is done for each one."""
        return Holding.model_construct(
            window=self.window, cap=self.cap, spent=self.spent + amount, overrun=self.overrun
        )


class Holdings(Report):
    """All limits of a gateway, as its file has them. `contact` is when the operator last gave an order."""

    run: str = ""
    serial: Serial = 0
    contact: float = 0.0
    held: dict[str, Holding] = Field(default_factory=dict, max_length=len(LIMITS))


def carry(holding: Holding, limit: str, window: int, contact: float) -> Holding:
    """`holding` in `window`: what was left is what there is, when the operator was there shortly before."""
    if window <= holding.window:
        return holding
    heard = contact >= window_start(LIMITS[limit].window, window) - CARRY_S
    left = max(0, holding.cap - holding.spent)
    return Holding(window=window, cap=left if heard else 0, overrun=holding.overrun and heard)


def at_moment(holdings: Holdings, now_epoch_s: float) -> Holdings:
    """`holdings` in the windows of now. A clock that is set back changes nothing."""
    held = {
        name: carry(each, name, window_at(LIMITS[name].window, now_epoch_s), holdings.contact)
        for name, each in holdings.held.items()
    }
    return holdings if held == holdings.held else holdings.model_copy(update={"held": held})


def obey(holdings: Holdings, order: GrantOrder, reserved: Mapping[str, int], now_epoch_s: float) -> Holdings:
    """`holdings` after an order. What is spent or on its way stays allowed, whatever the order says.

    An order of the serial that was seen last says only that the operator is there, and which window it is.
    """
    if order.serial < holdings.serial:
        return holdings
    contact = max(holdings.contact, min(order.issued_at, now_epoch_s))
    holdings = at_moment(holdings, now_epoch_s).model_copy(update={"contact": contact})
    held = dict(holdings.held)
    for each in order.slices:
        if each.limit in LIMITS:
            before = held.get(each.limit) or Holding(window=each.window)
            before = carry(before, each.limit, each.window, contact)
            new = order.serial > holdings.serial and each.window == before.window
            told = _lower_of(before, each) if order.lowers else each
            held[each.limit] = _set(before, told, reserved.get(each.limit, 0)) if new else before
    return holdings.model_copy(update={"held": held, "serial": order.serial})


def _lower_of(before: Holding, order: Slice) -> Slice:
    cap, overrun = min(before.cap, order.cap), before.overrun and order.overrun
    return order.model_copy(update={"cap": cap, "overrun": overrun})


def _set(before: Holding, order: Slice, reserved: int) -> Holding:
    due = before.spent + reserved
    over = before.overrun and reserved > 0 and due > before.cap  # the one request that goes over is on its way
    return Holding(
        window=before.window, cap=max(order.cap, due), spent=before.spent, overrun=order.overrun or over
    )  # fmt: skip


def give_back(holdings: Holdings, reserved: Mapping[str, int]) -> Holdings:
    """`holdings` with nothing left to spend, for a gateway that ends; what is on its way counts as spent."""
    due = {name: each.spent + reserved.get(name, 0) for name, each in holdings.held.items()}
    held = {name: Holding(window=each.window, cap=due[name], spent=due[name]) for name, each in holdings.held.items()}
    return holdings.model_copy(update={"held": held})


def receipt_of(holdings: Holdings, reserved: Mapping[str, int], wanted: Mapping[str, int]) -> GrantReceipt:
    """What a gateway answers."""
    return GrantReceipt(
        serial=holdings.serial,
        standings=tuple(
            Standing(
                limit=name,
                window=each.window,
                cap=each.cap,
                spent=each.spent,
                reserved=reserved.get(name, 0),
                overrun=each.overrun,
                wanted=wanted.get(name, 0),
            )
            for name, each in sorted(holdings.held.items())
        ),
    )
