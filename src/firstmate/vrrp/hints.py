"""What an operator can do about a refused advert."""

from firstmate.vrrp.packet import Refusal

HINTS = {
    Refusal.VERSION: "make vrrp version equal on both",
    Refusal.CHECKSUM: 'if it is healthy, try checksum = "plain" (RFC 9568), "pseudo" (keepalived, FRR) or "auto"',
    Refusal.AUTH_TYPE_MISMATCH: "make auth and auth_pass equal on both",
    Refusal.AUTH_FAILURE: "make auth_pass equal on both",
    Refusal.ADV_INTERVAL: "version 2 wants the same advert_interval on both",
    Refusal.IP_TTL: "adverts must come from the same network",
    Refusal.UNKNOWN_SOURCE: "add it to peers if it belongs here",
    Refusal.VRID_CLASH: "give one of the two another vrid",
    Refusal.ADDRESS_LIST: "make transport and addresses equal on both",
    Refusal.AUTH_EXT_STALE: "set the clocks right (chrony, NTP) on both",
    Refusal.AUTH_EXT_MISSING: "give both the same secret",
    Refusal.AUTH_EXT_UNKNOWN_KEY: "give both the same keys",
    Refusal.AUTH_EXT_INVALID_HMAC: "give both the same secret",
}
