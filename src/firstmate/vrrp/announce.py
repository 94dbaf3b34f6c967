"""When to say by gratuitous ARP that the addresses are here (`reference/vrrp.md` section 8.3).

Becoming MASTER: `garp_repeat` rounds at once and as many after `garp_delay_us`, as keepalived does.
A contest (someone else was MASTER too): the same, but not more often than once an interval, and the last
word is ours. And one round each `garp_refresh_us`: a lost frame must not black-hole a client for good.
"""

from firstmate.model.plan import VrrpPlan
from firstmate.model.units import Micros


class Announcer:
    """`deadline_us` is when `due` has something to say; None while we are not MASTER."""

    def __init__(self, plan: VrrpPlan) -> None:
        self.plan = plan
        self._bursts_us: list[Micros] = []  # when `garp_repeat` rounds are due; at most two
        self._refresh_at_us: Micros | None = None
        self._said_at_us: Micros | None = None

    @property
    def deadline_us(self) -> Micros | None:
        times = [*self._bursts_us, *([] if self._refresh_at_us is None else [self._refresh_at_us])]
        return min(times, default=None)

    def start(self, now_us: Micros) -> None:
        """We have just become MASTER."""
        self._said_at_us = None
        self._schedule(now_us)
        self._refresh(now_us)

    def again(self, now_us: Micros) -> None:
        """Someone else was heard as MASTER while we are."""
        earliest_us = now_us
        if self._said_at_us is not None:
            earliest_us = max(now_us, self._said_at_us + self.plan.advert_interval_us)
        self._schedule(earliest_us)

    def stop(self) -> None:
        self._bursts_us, self._refresh_at_us = [], None

    def due(self, now_us: Micros) -> int:
        """How many rounds over all addresses are due now; they count as said."""
        rounds = self.plan.garp_repeat * sum(at <= now_us for at in self._bursts_us)
        self._bursts_us = [at for at in self._bursts_us if at > now_us]
        if self._refresh_at_us is not None and self._refresh_at_us <= now_us:
            self._refresh(now_us)
            rounds = rounds or 1
        if rounds:
            self._said_at_us = now_us
        return rounds

    def _schedule(self, at_us: Micros) -> None:
        self._bursts_us = [at_us] if self.plan.garp_repeat else []
        if self.plan.garp_repeat and self.plan.garp_delay_us:
            self._bursts_us.append(at_us + self.plan.garp_delay_us)

    def _refresh(self, now_us: Micros) -> None:
        self._refresh_at_us = now_us + self.plan.garp_refresh_us if self.plan.garp_refresh_us else None
