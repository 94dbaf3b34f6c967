"""Who signs adverts with which key: the cluster's secret, a router's own keys, and reading them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.paths import foreign_of, transports_of
from firstmate.config.places import Path
from firstmate.config.schema import Draft, Section
from firstmate.config.vrrp_values import WINDOW_MOST_US, HmacDraft
from firstmate.model.plan import HmacKey, HmacMode, HmacPlan, Transport
from firstmate.model.secrets import Secret
from firstmate.model.units import S, Micros

KEY_OCTETS_LEAST, KEY_OCTETS_MOST = 32, 64  # as keepalived has it
WINDOW_LEAST_US = 5 * S  # unless written: clocks of hosts without good time differ by less
CLUSTER_KEY_ID = 1  # of `secret`
_MAKE = "openssl rand -hex 32"

ReadSecret: TypeAlias = Callable[[str], Secret]  # raises OSError or LookupError, with a sentence


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a key is, and where the file says so."""

    text: str
    at: Path


@dataclass(frozen=True, slots=True)
class Signing:
    """How one router signs, before its keys are read."""

    keys: dict[int, Reference]
    active: int
    mode: HmacMode
    window_us: Micros
    monotonic: bool


def no_secrets(reference: str) -> Secret:
    """For whoever has no right to read any."""
    message = f"{reference.partition(':')[0]}: no secret is read here"
    raise LookupError(message)


def signing_of(router: Section, draft: Draft, interval_us: Micros) -> Signing | None:
    """None: its adverts carry no signature."""
    given: bool | HmacDraft | None = router.get("hmac")
    if given is False or (given is None and (_has_password(router) or foreign_of(router, draft))):
        return None
    wanted = given if isinstance(given, HmacDraft) else HmacDraft()
    keys, active = _cluster_keys(draft)
    if wanted.keys:
        at = (*router.at, "hmac", "keys")
        keys, active = {number: Reference(text, (*at, str(number))) for number, text in wanted.keys.items()}, None
    active = wanted.active or active or (next(iter(keys)) if len(keys) == 1 else None)
    if active is None or active not in keys:
        return None
    default_us = max(WINDOW_LEAST_US, -(-3 * interval_us // S) * S)
    window_us = wanted.window_us or min(default_us, WINDOW_MOST_US)
    return Signing(keys, active, wanted.mode, window_us, wanted.monotonic)


def _has_password(router: Section) -> bool:
    return router.get("auth") is not None or router.get("auth_pass") is not None


def _cluster_keys(draft: Draft) -> tuple[dict[int, Reference], int | None]:
    """The keys of [cluster], and which of them is to sign."""
    secret: str | None = draft.cluster.get("secret")
    if secret is not None:
        return {CLUSTER_KEY_ID: Reference(secret, ("cluster", "secret"))}, CLUSTER_KEY_ID
    found: dict[int, str] = draft.cluster.get("secrets", {})
    keys = {number: Reference(text, ("cluster", "secrets", str(number))) for number, text in found.items()}
    return keys, draft.cluster.get("active_secret")


# What contradicts what


def judge_cluster(draft: Draft, findings: Findings) -> None:
    secrets: dict[int, str] | None = draft.cluster.get("secrets")
    active: int | None = draft.cluster.get("active_secret")
    if secrets is not None and draft.cluster.get("secret") is not None:
        text, hint = 'both "secret" and "secrets" are given', "keep one of them"
        findings.add(Code.BAD_SIGNING, ("cluster", "secrets"), text, hint, on_key=True)
    elif secrets is None and active is not None:
        text, hint = "active_secret chooses among secrets, and there are none", "take it out"
        findings.add(Code.NO_EFFECT, ("cluster", "active_secret"), text, hint, on_key=True)
    elif secrets is not None:
        _judge_active(secrets, active, ("cluster",), "active_secret", findings)


def _judge_active(keys: dict[int, str], active: int | None, at: Path, key: str, findings: Findings) -> None:
    listed = ", ".join(map(str, keys))
    if active is not None and active not in keys:
        text = f"there is no key {active} to sign with"
        findings.add(Code.BAD_SIGNING, (*at, key), text, f"keys: {listed}")
    elif active is None and len(keys) > 1:
        findings.add(Code.MISSING, at, f'which of the keys {listed} signs? Say "{key}"')


def judge(router: Section, draft: Draft, signing: Signing | None, findings: Findings) -> None:
    """`signing`: what `signing_of` says of this router."""
    given: bool | HmacDraft | None = router.get("hmac")
    if given and _has_password(router):
        key = "auth" if router.get("auth") is not None else "auth_pass"
        text = "an advert is signed or carries a password, not both"
        findings.add(Code.BAD_SIGNING, (*router.at, key), text, f"take out {key}, or hmac", on_key=True)
    keys = {number: reference.text for number, reference in _cluster_keys(draft)[0].items()}
    own = given.keys if isinstance(given, HmacDraft) else {}
    if given and not own and not keys:
        text, hint = "there is no key to sign with", 'secret = "file:/etc/firstmate/cluster.key" in [cluster]'
        findings.add(Code.BAD_SIGNING, (*router.at, "hmac"), text, hint)
    elif isinstance(given, HmacDraft) and (own or given.active is not None):
        _judge_active(own or keys, given.active, (*router.at, "hmac"), "active", findings)
    foreign = foreign_of(router, draft)
    if given is None and keys and foreign and not _has_password(router):
        text = f"adverts of this virtual router are not signed: {foreign[0]} is no node of this file"
        hint = "say hmac = true when it has the same key, or hmac = false"
        findings.add(Code.NOT_SIGNED, (*router.at, "peers"), text, hint)
    _judge_udp(router, signing, findings)


def _judge_udp(router: Section, signing: Signing | None, findings: Findings) -> None:
    """Anybody can send UDP, from any address that they like: what is not signed says nothing."""
    if Transport.UDP not in transports_of(router):
        return
    at = (*router.at, "transport")
    if signing is None:
        text, hint = "adverts in UDP must be signed", 'secret = "file:/etc/firstmate/cluster.key" in [cluster]'
        findings.add(Code.UNSIGNED_UDP, at, text, hint)
    elif signing.mode is not HmacMode.ENFORCE:
        text = f'adverts in UDP must be signed, and mode = "{signing.mode.value}" hears others too'
        findings.add(Code.UNSIGNED_UDP, at, text, 'mode = "enforce"')


# The keys themselves


class KeyRing:
    """Reads each reference once. Nothing of what is read gets into a message."""

    def __init__(self, read_secret: ReadSecret, findings: Findings, *, strict: bool) -> None:
        """`strict`: a secret that we may not read is an error; else advice, for who only checks a file."""
        self._read_secret, self._findings, self._strict = read_secret, findings, strict
        self._known: dict[str, bytes | None] = {}

    def plan(self, signing: Signing) -> HmacPlan | None:
        """With its keys; None when one of them cannot be used, which was noted."""
        values = {number: self._value(reference) for number, reference in signing.keys.items()}
        keys = tuple(HmacKey(number, value) for number, value in values.items() if value is not None)
        if len(keys) < len(values):
            return None
        return HmacPlan(keys, signing.active, signing.mode, signing.window_us, signing.monotonic)

    def _value(self, reference: Reference) -> bytes | None:
        if reference.text not in self._known:
            self._known[reference.text] = self._read(reference)
        return self._known[reference.text]

    def _read(self, reference: Reference) -> bytes | None:
        try:
            found = self._read_secret(reference.text)
        except PermissionError as error:
            code = Code.SECRET_UNREADABLE if self._strict else Code.SECRET_NOT_SEEN
            text = f"the secret cannot be read: {error.strerror or error}"
            self._findings.add(code, reference.at, text, "" if self._strict else "look at it as the user of the daemon")
            return None
        except (OSError, LookupError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or (error.args[0] if error.args else "")
            kind, _, place = reference.text.partition(":")
            hint = f"copy it from another node, or make it: (umask 077; {_MAKE} > {place})" if kind == "file" else ""
            self._findings.add(Code.SECRET_UNREADABLE, reference.at, f"the secret cannot be read: {why}", hint)
            return None
        if found.exposed:
            hint = f"chmod 600 {reference.text.removeprefix('file:')}"
            self._findings.add(Code.SECRET_EXPOSED, reference.at, found.exposed, hint)
        value = key_of(found.content)
        if isinstance(value, str):
            self._findings.add(Code.BAD_KEY, reference.at, value, f"make one: {_MAKE}")
            return None
        return value


def key_of(content: bytes) -> bytes | str:
    """The key in what a file, variable or credential holds, or a sentence on why it is none.

    Text or `hex:...`; one newline at the end does not count.
    """
    content = content.removesuffix(b"\n")
    if content.startswith(b"hex:"):
        try:
            content = bytes.fromhex(content[4:].decode("ascii"))
        except ValueError:
            return "the secret begins with hex: and is not hexadecimal"
    if not KEY_OCTETS_LEAST <= len(content) <= KEY_OCTETS_MOST:
        limits = f"{KEY_OCTETS_LEAST} to {KEY_OCTETS_MOST}"
        return f"the secret has {len(content)} octets, and a key has {limits}"
    return content
