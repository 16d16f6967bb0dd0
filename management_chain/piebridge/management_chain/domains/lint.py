"""What is dangerous in a domain file, and why. Pure: the same file gives the same findings.

The contracts refuse some of it themselves; this says so before anybody signs, and names what no contract can see, as
who runs a notary or whether two endpoints are one machine.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from piebridge.management_chain.domains.domain_file import ChainWish, DomainFile
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.signers import is_byzantine_quorum
from piebridge.protocol_stack.verification.base import Method

_DAY_SECONDS = 24 * 3600
_CLOCK_DRIFT_SECONDS_MAX = 60
_TRUSTING_PERIOD_SECONDS_MAX = 21 * _DAY_SECONDS
_ZERO_ADDRESS = bytes(20)


class Severity(StrEnum):
    """How bad it is."""

    BROKEN = "broken"
    """Refused everywhere: it could not work."""
    UNSAFE = "unsafe"
    """Refused outside ``--dev``: somebody alone could steal or stop everything."""
    REMARK = "remark"
    """Possible, and probably not what was meant."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    rule: str
    """Name of the rule, for scripts."""
    severity: Severity
    """How bad it is."""
    place: str
    """Where in the file."""
    problem: str
    """What is wrong and what follows from it."""
    advice: str
    """What to write instead."""


def lint(file: DomainFile, *, single_operator: bool = False) -> list[Finding]:
    """Return everything that is wrong with a file, the worst first.

    Args:
        file: the file.
        single_operator: the user has said that one operator shall make the blocks.
    """
    findings = [*_domain(file, single_operator=single_operator), *_caps(file), *_members(file), *_gateways(file)]
    for chain in file.chains:
        findings += lint_chain(chain)
    return sorted(findings, key=lambda finding: tuple(Severity).index(finding.severity))


def refused(findings: list[Finding], *, dev: bool) -> list[Finding]:
    """Return those findings for which a file is refused.

    Args:
        findings: of the file.
        dev: everything runs on one machine for tests; nothing of value is at stake.
    """
    fatal = {Severity.BROKEN} if dev else {Severity.BROKEN, Severity.UNSAFE}
    return [finding for finding in findings if finding.severity in fatal]


def lint_chain(chain: ChainWish) -> list[Finding]:
    """Return everything that is wrong with one parachain of a file."""
    place = f"chain {chain.name!r}"
    return [*_identity(chain, place), *_endpoints(chain, place), *_finality(chain, place), *_notaries(chain, place)]


def _domain(file: DomainFile, *, single_operator: bool) -> Iterator[Finding]:
    seats, threshold = file.seats, file.threshold
    if threshold > seats:
        yield Finding(
            "threshold-above-seats",
            Severity.BROKEN,
            "[domain] k",
            f"{threshold} of {seats} validators can never endorse anything",
            f"k = {_quorum(seats)}",
        )
    elif threshold == 1:
        yield Finding(
            "one-of-n",
            Severity.UNSAFE,
            "[domain] k",
            f"1 of {seats}: a single stolen key endorses whatever its thief likes, on every chain of the domain",
            "seats = 4 and k = 3, or more",
        )
    elif not is_byzantine_quorum(threshold, seats):
        yield Finding(
            "weak-threshold",
            Severity.UNSAFE,
            "[domain] k",
            f"{threshold} of {seats} is not more than two thirds: two groups of validators could endorse two stories",
            f"k = {_quorum(seats)}",
        )
    if file.consensus is Consensus.SINGLE_OPERATOR and not single_operator:
        yield Finding(
            "one-operator",
            Severity.UNSAFE,
            "[domain] consensus",
            "single-operator: one operator holds all keys, so one operator holds a quorum",
            'consensus = "cometbft"; or, if this is meant, --single-operator here and in every approval',
        )
    if file.least_term_seconds < _DAY_SECONDS:
        yield Finding(
            "short-term",
            Severity.REMARK,
            "[domain] least_term_seconds",
            f"nodes may leave {file.least_term_seconds} s after the request was closed",
            "at least a day, better 30 days",
        )
    if file.overlap_seconds == 0:
        yield Finding(
            "no-overlap",
            Severity.REMARK,
            "[domain] overlap_seconds",
            "the validators before a planned change count for nothing the moment a hub hears of it, and what they have "
            "endorsed must be endorsed again",
            "overlap_seconds = 3600",
        )
    if file.expires_in_seconds < 600:
        yield Finding(
            "short-expiry",
            Severity.REMARK,
            "[domain] expires_in_seconds",
            f"all representatives must co-sign and confirm, and all nodes must start, in {file.expires_in_seconds} s",
            "an hour on one machine, a week among people",
        )


def _caps(file: DomainFile) -> Iterator[Finding]:
    if file.min_delta_seconds > file.max_delta_seconds:
        yield Finding(
            "empty-delta",
            Severity.BROKEN,
            "[caps] min_delta_seconds",
            "is above max_delta_seconds: no packet could ever be sent",
            f"at most {file.max_delta_seconds}",
        )
    if file.retention_seconds < file.max_delta_seconds:
        yield Finding(
            "short-retention",
            Severity.UNSAFE,
            "[caps] retention_seconds",
            "relay chains forget messages while they may still be delivered",
            f"at least max_delta_seconds, {file.max_delta_seconds}",
        )
    if file.stranger_quota == 0:
        yield Finding(
            "no-strangers",
            Severity.REMARK,
            "[caps] stranger_quota",
            "when all authorised gateways are gone, nobody can carry what is on its way",
            "stranger_quota = 100",
        )


def _members(file: DomainFile) -> Iterator[Finding]:
    if not file.chains:
        yield Finding("no-chains", Severity.BROKEN, "[[chain]]", "a domain without parachains", "name at least two")
    elif len(file.chains) == 1:
        yield Finding(
            "one-chain", Severity.UNSAFE, "[[chain]]", "a domain of one parachain has nobody to talk to", "name another"
        )
    for what, values in (
        ("registration", [chain.registration for chain in file.chains if chain.registration]),
        ("name", [chain.name for chain in file.chains]),
    ):
        for value, times in Counter(values).items():
            if times > 1:
                yield Finding(
                    f"double-{what}",
                    Severity.BROKEN,
                    f"[[chain]] {what}",
                    f"{value!r} stands {times} times",
                    "each once",
                )


def _gateways(file: DomainFile) -> Iterator[Finding]:
    places = Counter(gateway.address for gateway in file.gateways)
    if places[_ZERO_ADDRESS]:
        yield _unfilled("[[gateway]] address", "the zero address is nobody's", "address of the gateway's key")
    for address, times in places.items():
        if times > 1 and address != _ZERO_ADDRESS:
            yield Finding(
                "double-gateway",
                Severity.BROKEN,
                "[[gateway]] address",
                f"0x{address.hex()} stands {times} times",
                "each once",
            )
    if len(file.gateways) < 2:
        yield Finding(
            "few-gateways",
            Severity.REMARK,
            "[[gateway]]",
            f"{len(file.gateways)} gateway(s): when it stands still, so does the domain. Nobody has to trust a "
            "gateway, so another one costs nothing but its quota",
            "two gateways of different operators",
        )


def _identity(chain: ChainWish, place: str) -> Iterator[Finding]:
    if chain.registration == 0:
        yield _unfilled(f"{place} registration", "0 is no registration", "the number that `domain register` gave")


def _endpoints(chain: ChainWish, place: str) -> Iterator[Finding]:
    needed = {"rpc_urls": chain.rpc_urls}
    if chain.light_client is not None:
        needed["cometbft_rpc_urls"] = chain.cometbft_rpc_urls
    for key, urls in needed.items():
        if len(set(urls)) < 2:
            yield Finding(
                "one-endpoint",
                Severity.UNSAFE,
                f"{place} {key}",
                "everything that is asked of this chain rests on the word of one node; whoever poisons it, and "
                "silences others, is believed",
                "two endpoints of different operators",
            )
        elif len({urlsplit(url).hostname for url in urls}) < 2:
            yield Finding(
                "same-host",
                Severity.UNSAFE,
                f"{place} {key}",
                f"all endpoints are on {urlsplit(urls[0]).hostname}: they fail and lie together",
                "endpoints on different machines of different operators",
            )


def _finality(chain: ChainWish, place: str) -> Iterator[Finding]:
    if chain.depth == 0 and chain.verification is not Method.SPV:
        yield Finding(
            "zero-depth",
            Severity.UNSAFE,
            f"{place} depth",
            "0: a packet counts in the very block that made it, which a reorganisation can take back after the packet "
            "was executed elsewhere",
            "as many blocks as this chain needs to be final, at least 1",
        )
    client = chain.light_client
    if client is not None and client.trusting_period_seconds > _TRUSTING_PERIOD_SECONDS_MAX:
        yield Finding(
            "long-trust",
            Severity.UNSAFE,
            f"{place} light_client trusting_period_seconds",
            f"{client.trusting_period_seconds // _DAY_SECONDS} days: validators who have long left, with nothing at "
            "stake, could still forge headers",
            "two thirds of the chain's unbonding period, usually 14 days",
        )
    if client is not None and client.clock_drift_seconds > _CLOCK_DRIFT_SECONDS_MAX:
        yield Finding(
            "clock-drift",
            Severity.REMARK,
            f"{place} light_client clock_drift_seconds",
            f"headers may lie {client.clock_drift_seconds} s in the future",
            f"at most {_CLOCK_DRIFT_SECONDS_MAX}",
        )


def _notaries(chain: ChainWish, place: str) -> Iterator[Finding]:
    notaries = chain.notaries
    if notaries is None:
        return
    size, threshold = len(notaries.members), notaries.threshold
    addresses = Counter(member.address for member in notaries.members)
    if addresses[_ZERO_ADDRESS]:
        yield _unfilled(f"{place} notaries", "the zero address is nobody's", "address of each notary's key")
    for address, times in addresses.items():
        if times > 1 and address != _ZERO_ADDRESS:
            yield Finding(
                "double-notary",
                Severity.BROKEN,
                f"{place} notaries",
                f"0x{address.hex()} stands {times} times",
                "each once",
            )
    if threshold > size:
        yield Finding(
            "threshold-above-notaries",
            Severity.BROKEN,
            f"{place} notaries k",
            f"{threshold} of {size} can never sign anything",
            f"k = {_quorum(size)}",
        )
    elif threshold == 1:
        yield Finding(
            "one-notary",
            Severity.UNSAFE,
            f"{place} notaries k",
            f"1 of {size}: a single verifier decides alone what this chain has said",
            "four notaries of different operators, k = 3",
        )
    elif not is_byzantine_quorum(threshold, size):
        yield Finding(
            "weak-notaries",
            Severity.UNSAFE,
            f"{place} notaries k",
            f"{threshold} of {size} is not more than two thirds",
            f"k = {_quorum(size)}",
        )
    operators = Counter(member.operator.lower() for member in notaries.members)
    unnamed = operators.pop("", 0)
    if unnamed:
        yield Finding(
            "unnamed-operator",
            Severity.UNSAFE,
            f"{place} notaries",
            f"nobody says who runs {unnamed} of {size} notaries: they may all be one",
            'operator = "..." for each',
        )
    for operator, held in operators.items():
        if threshold > 1 and held >= threshold:
            yield Finding(
                "operator-quorum",
                Severity.UNSAFE,
                f"{place} notaries",
                f"{operator!r} runs {held} notaries and {threshold} are enough: k of n is a number without meaning "
                "when one operator holds a quorum",
                f"at most {threshold - 1} of one operator, better one",
            )


def _unfilled(place: str, problem: str, advice: str) -> Finding:
    return Finding("fill-in", Severity.BROKEN, place, problem, advice)


def _quorum(members: int) -> int:
    return 2 * members // 3 + 1


def lint_seats(file: DomainFile, operators_with_nodes: int) -> list[Finding]:
    """Return what is wrong when a file meets the nodes that are on offer now.

    Seats are drawn from the operators that have the fewest in a set, so one operator gets at most
    ``seats / operators`` of them, rounded up.

    Args:
        file: the file.
        operators_with_nodes: different operators with a node that could be drawn.
    """
    if file.consensus is Consensus.SINGLE_OPERATOR or operators_with_nodes == 0:
        return []
    share = -(-file.seats // operators_with_nodes)
    if share < file.threshold or file.threshold > file.seats:
        return []
    return [
        Finding(
            "operator-seats",
            Severity.UNSAFE,
            "[domain] seats",
            f"nodes of {operators_with_nodes} operator(s) are on offer, so one of them would hold {share} of "
            f"{file.seats} seats, and {file.threshold} are a quorum",
            "wait until more operators offer nodes, or ask for fewer seats",
        )
    ]
