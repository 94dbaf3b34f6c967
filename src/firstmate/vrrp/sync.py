"""Sync groups: virtual routers that are MASTER together or not at all (`reference/keepalived.md` section 4.8)."""

from firstmate.model.plan import GroupPlan
from firstmate.vrrp.instance import Backup, Master
from firstmate.vrrp.member import Member


class SyncGroup:
    def __init__(self, plan: GroupPlan, members: list[Member]) -> None:
        self.plan = plan
        self.members = members

    def to_lead(self) -> list[Member]:
        """Those that become MASTER now: all are MASTER, or would be. Empty: somebody is not ready."""
        ready = []
        for one in self.members:
            match one.instance.state:
                case Master():
                    continue
                case Backup(ready=why) if why:
                    ready.append(one)
                case _:
                    return []
        return ready

    def to_follow(self) -> list[Member]:
        """One has just ceased to be MASTER: those that must cease too."""
        return [one for one in self.members if isinstance(one.instance.state, Master)]
