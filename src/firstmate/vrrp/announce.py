"""When to say by gratuitous ARP or unsolicited NA that the addresses are here (`reference/vrrp.md` section 8.3).

Becoming MASTER: `garp_repeat` rounds at once and as many after `garp_delay_us`, as keepalived does.
A contest (someone else was MASTER too): `garp_lower_prio_repeat` and `_delay`, but not more often than once an
interval, and the last word is ours. And `garp_refresh_repeat` rounds each `garp_refresh_us`: a lost frame must not
black-hole a client for good.
"""

from firstmate.model.plan import VrrpPlan
from firstmate.model.units import S, Micros

HOLD_US: Micros = 2 * S  # or two intervals
HOLD_AGAIN_US: Micros = 4 * S  # so that a host which claims without end cannot silence us


class Announcer:
    """`deadline_us` is when `due` has something to say; None while we are not MASTER."""

    def __init__(self, plan: VrrpPlan) -> None:
        self.plan = plan
        self.deadline_us: Micros | None = None
        self._bursts: list[tuple[Micros, int]] = []  # when so many rounds are due; at most two
        self._refresh_at_us: Micros | None = None
        self._said_at_us: Micros | None = None
        self._held_at_us: Micros | None = None

    def start(self, now_us: Micros) -> None:
        """We have just become MASTER."""
        self._said_at_us = None
        self._refresh(now_us)
        self._schedule(now_us, self.plan.garp_repeat, self.plan.garp_delay_us)

    def again(self, now_us: Micros, *, contest: bool = False) -> None:
        """Others may have learned another host; `contest`: a weaker one was MASTER beside us."""
        plan = self.plan
        repeat, delay_us = plan.garp_repeat, plan.garp_delay_us
        if contest and plan.garp_lower_prio_repeat is not None:
            repeat = plan.garp_lower_prio_repeat
        if contest and plan.garp_lower_prio_delay_us is not None:
            delay_us = plan.garp_lower_prio_delay_us
        earliest_us = now_us
        if self._said_at_us is not None:
            earliest_us = max(now_us, self._said_at_us + plan.advert_interval_us)
        self._schedule(earliest_us, repeat, delay_us)

    def hold(self, now_us: Micros) -> None:
        """Another host has just said that an address is with it: let what is due wait a while.

        It may be about to lead. FRR says so in IPv6 an interval before its first advert, and never again: a refresh
        in between would leave the clients with us.
        """
        if self._held_at_us is not None and now_us < self._held_at_us + HOLD_AGAIN_US:
            return
        self._held_at_us = now_us
        until_us = now_us + max(HOLD_US, 2 * self.plan.advert_interval_us)
        self._bursts = [(max(at_us, until_us), rounds) for at_us, rounds in self._bursts]
        if self._refresh_at_us is not None:
            self._refresh_at_us = max(self._refresh_at_us, until_us)
        self._set_deadline()

    def stop(self) -> None:
        self._bursts, self._refresh_at_us, self.deadline_us = [], None, None

    def due(self, now_us: Micros) -> int:
        """How many rounds over all addresses are due now; they count as said."""
        if self.deadline_us is None or self.deadline_us > now_us:
            return 0
        rounds = sum(rounds for at_us, rounds in self._bursts if at_us <= now_us)
        self._bursts = [(at_us, rounds) for at_us, rounds in self._bursts if at_us > now_us]
        if self._refresh_at_us is not None and self._refresh_at_us <= now_us:
            self._refresh(now_us)
            rounds = rounds or self.plan.garp_refresh_repeat
        self._said_at_us = now_us
        self._set_deadline()
        return rounds

    def _schedule(self, at_us: Micros, repeat: int, delay_us: Micros) -> None:
        self._bursts = [(at_us, repeat)] if repeat else []
        if repeat and delay_us:
            self._bursts.append((at_us + delay_us, repeat))
        self._set_deadline()

    def _refresh(self, now_us: Micros) -> None:
        self._refresh_at_us = now_us + self.plan.garp_refresh_us if self.plan.garp_refresh_us else None

    def _set_deadline(self) -> None:
        times = [at_us for at_us, _ in self._bursts]
        if self._refresh_at_us is not None:
            times.append(self._refresh_at_us)
        self.deadline_us = min(times, default=None)
