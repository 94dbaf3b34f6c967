"""Policy rules that move with the addresses, as rtnetlink(7) has them. Ours carry the protocol number 112."""

import socket
import struct
from dataclasses import dataclass

from firstmate.linux.addresses import MARK_PROTOCOL
from firstmate.linux.rtnetlink import attributes, read_attributes, read_u32, text, u32
from firstmate.model.plan import Rule

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_PROTOCOL = (
    1, 2, 3, 6, 10, 15, 16, 21,
)  # fmt: skip
FR_ACT_TO_TBL = 1
RT_TABLE_COMPAT = 252

_RULE = struct.Struct("=BBBBBxxBI")  # family, dst and src prefix, tos, table, action, flags (fib_rule_hdr)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

EVERY = _RULE.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0)  # asks for all of them


@dataclass(frozen=True, slots=True)
class KernelRule:
    """A rule with our mark, as it is in the kernel."""

    family: int  # 4 or 6
    priority: int
    table: int
    body: bytes  # the message that describes it, which sent back removes it

    def __str__(self) -> str:
        return f"rule {self.priority} to table {self.table} (IPv{self.family})"


def encode(rule: Rule) -> bytes:
    """Body of RTM_NEWRULE and of RTM_DELRULE."""
    pairs = [(FRA_TABLE, u32(rule.table)), (FRA_PRIORITY, u32(rule.priority)), (FRA_PROTOCOL, bytes([MARK_PROTOCOL]))]
    if rule.source is not None and rule.source_prefix:
        pairs.append((FRA_SRC, rule.source.packed))
    if rule.destination is not None and rule.destination_prefix:
        pairs.append((FRA_DST, rule.destination.packed))
    if rule.iif:
        pairs.append((FRA_IIFNAME, text(rule.iif)))
    if rule.fwmark is not None:
        pairs.append((FRA_FWMARK, u32(rule.fwmark)))
    if rule.fwmask is not None:
        pairs.append((FRA_FWMASK, u32(rule.fwmask)))
    header = _RULE.pack(
        _FAMILIES[rule.family],
        rule.destination_prefix if rule.destination is not None else 0,
        rule.source_prefix if rule.source is not None else 0,
        0,
        rule.table if rule.table < 256 else RT_TABLE_COMPAT,
        FR_ACT_TO_TBL,
        0,
    )
    return header + attributes(pairs)


def parse(body: bytes) -> KernelRule | None:
    """What RTM_NEWRULE or RTM_DELRULE says; None: not ours."""
    family, _, _, _, table, _, _ = _RULE.unpack_from(body)
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    values = read_attributes(body[_RULE.size :])
    if values.get(FRA_PROTOCOL) != bytes([MARK_PROTOCOL]):
        return None
    version = 4 if family == socket.AF_INET else 6
    return KernelRule(version, read_u32(values.get(FRA_PRIORITY)), read_u32(values.get(FRA_TABLE)) or table, body)
