"""``domain.toml``: what parachain representatives ask for, as they write it. Pure: text in, values out."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from piebridge.management_chain.domains.errors import DomainFileError
from piebridge.management_chain.domains.toml_table import TomlTable
from piebridge.protocol_stack.endorsement import EndorsementMethod
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.verification.base import Method

_U16_MAX = (1 << 16) - 1
_U32_MAX = (1 << 32) - 1
_U64_MAX = (1 << 64) - 1
EXPIRY_SECONDS_MAX: Final = 30 * 24 * 3600
"""How far ahead a request may expire (management.md, section 5.3)."""


CONSENSUS: Final[Mapping[str, Consensus]] = MappingProxyType(
    {"cometbft": Consensus.COMETBFT, "single-operator": Consensus.SINGLE_OPERATOR}
)
"""Words of the file."""
ENDORSEMENT: Final[Mapping[str, EndorsementMethod]] = MappingProxyType(
    {"signatures": EndorsementMethod.SIGNATURES, "commit": EndorsementMethod.COMMIT}
)
"""Words of the file."""
VERIFICATION: Final[Mapping[str, Method]] = MappingProxyType(
    {"spv": Method.SPV, "notary": Method.NOTARY, "both": Method.BOTH}
)
"""Words of the file."""


@dataclass(frozen=True, slots=True)
class NotaryWish:
    """One notary of a parachain."""

    address: bytes
    """Address of its key, 20 bytes."""
    operator: str
    """Who runs it; empty if nobody says."""


@dataclass(frozen=True, slots=True)
class NotariesWish:
    """The notaries of a parachain."""

    epoch: int
    """Number of the set: 1, or the last one + 1 in a renewal."""
    threshold: int
    """k: signatures that are needed."""
    members: tuple[NotaryWish, ...]
    """All of them."""


@dataclass(frozen=True, slots=True)
class LightClientWish:
    """How the light client of a parachain starts."""

    trusting_period_seconds: int
    """Age from which a header vouches for no other."""
    clock_drift_seconds: int
    """How far a header may lie in the future."""
    height: int | None
    """Height of the header to start from; None takes the newest one when the request is filed."""


@dataclass(frozen=True, slots=True)
class ChainWish:
    """A parachain and how it is verified."""

    name: str
    """For people."""
    registration: int
    """Number of its hub; 0 where nobody has filled it in."""
    rpc_urls: tuple[str, ...]
    """``eth_*`` endpoints, asked when the request is filed; they are no part of it."""
    cometbft_rpc_urls: tuple[str, ...]
    """CometBFT endpoints of a chain with a light client."""
    verification: Method
    """How relay chains verify it."""
    depth: int
    """Finality depth, blocks."""
    depth_max: int
    """Largest depth that a packet may demand."""
    handler_gas_max: int
    """Largest handler gas that its hub takes."""
    light_client: LightClientWish | None
    """None exactly where notaries alone verify it."""
    notaries: NotariesWish | None
    """None exactly where a light client alone verifies it."""


@dataclass(frozen=True, slots=True)
class GatewayWish:
    """A gateway to authorise."""

    address: bytes
    """20 bytes."""
    quota: int
    """Transactions per 100 blocks of a relay chain."""


@dataclass(frozen=True, slots=True)
class DomainFile:
    """A whole file. Units and ranges are those of management.md, section 5.2."""

    consensus: Consensus
    """Who makes the blocks."""
    block_interval_milliseconds: int
    """Least time between two blocks of a relay chain."""
    block_bytes_max: int
    """Largest block."""
    relay_chains: int
    """Number of relay chains."""
    seats: int
    """n: validators of each."""
    threshold: int
    """k: endorsements that hubs demand."""
    endorsement: EndorsementMethod
    """How hubs verify relay chains."""
    least_capacity: int
    """Packets a second that a node must be able to verify."""
    least_term_seconds: int
    """How long a node must be on offer, from the closing of the request on."""
    overlap_seconds: int
    """How long the set before a change stays valid."""
    expires_in_seconds: int
    """When the request dies unless it is executing, from filing on."""
    max_body_bytes: int
    """Largest packet body."""
    retention_seconds: int
    """How long relay chains keep messages that nobody acknowledges."""
    stranger_quota: int
    """Transactions per 100 blocks of all that are no gateways together."""
    min_delta_seconds: int
    """Least time from a send to its expiry."""
    max_delta_seconds: int
    """Most time from a send to its deadline."""
    chains: tuple[ChainWish, ...]
    """Parachains, in the order of the file."""
    gateways: tuple[GatewayWish, ...]
    """Gateways, in the order of the file."""


def parse(text: str) -> DomainFile:
    """Read a domain file.

    Raises:
        DomainFileError: it is no TOML, or a key is missing, unknown or out of range. The message names the place.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DomainFileError("domain file", f"is no TOML: {error}") from error
    root = TomlTable(document, "")
    domain, caps = root.table("domain"), root.table("caps")
    file = DomainFile(
        consensus=domain.choice("consensus", CONSENSUS, "cometbft"),
        block_interval_milliseconds=domain.integer("block_interval_milliseconds", 1, _U32_MAX, 500),
        block_bytes_max=domain.integer("block_bytes_max", 65_536, 104_857_600, 4_194_304),
        relay_chains=domain.integer("relay_chains", 1, 16, 1),
        seats=domain.integer("seats", 1, 32),
        threshold=domain.integer("k", 1, 32),
        endorsement=domain.choice("endorsement", ENDORSEMENT, "signatures"),
        least_capacity=domain.integer("least_capacity", 1, _U32_MAX, 1),
        least_term_seconds=domain.integer("least_term_seconds", 0, _U32_MAX, 30 * 24 * 3600),
        overlap_seconds=domain.integer("overlap_seconds", 0, _U32_MAX, 3_600),
        expires_in_seconds=domain.integer("expires_in_seconds", 1, EXPIRY_SECONDS_MAX, 7 * 24 * 3600),
        max_body_bytes=caps.integer("max_body_bytes", 1, _U32_MAX, 8_192),
        retention_seconds=caps.integer("retention_seconds", 0, _U32_MAX, 45 * 24 * 3600),
        stranger_quota=caps.integer("stranger_quota", 0, _U32_MAX, 100),
        min_delta_seconds=caps.integer("min_delta_seconds", 0, _U32_MAX, 1),
        max_delta_seconds=caps.integer("max_delta_seconds", 0, _U32_MAX, 30 * 24 * 3600),
        chains=tuple(_chain(table) for table in root.tables("chain")),
        gateways=tuple(_gateway(table) for table in root.tables("gateway")),
    )
    for table in (domain, caps, root):
        table.finish()
    return file


def parse_chains(text: str) -> tuple[ChainWish, ...]:
    """Read a file of ``[[chain]]`` tables alone: who joins, or whose verification is renewed.

    Raises:
        DomainFileError: as :func:`parse`; or there is none.
    """
    try:
        root = TomlTable(tomllib.loads(text), "")
    except tomllib.TOMLDecodeError as error:
        raise DomainFileError("chain file", f"is no TOML: {error}") from error
    chains = tuple(_chain(table) for table in root.tables("chain"))
    root.finish()
    if not chains:
        raise DomainFileError("chain file", "has no [[chain]]")
    return chains


def parse_members(text: str) -> tuple[ChainWish, ...]:
    """Read the parachains of a domain file, or of a file that holds nothing else.

    Raises:
        DomainFileError: as :func:`parse`.
    """
    return parse(text).chains if "\n[domain]" in f"\n{text}" else parse_chains(text)


def _chain(table: TomlTable) -> ChainWish:
    verification = table.choice("verification", VERIFICATION)
    chain = ChainWish(
        name=table.text("name"),
        registration=table.integer("registration", 0, _U32_MAX),
        rpc_urls=table.texts("rpc_urls"),
        cometbft_rpc_urls=table.texts("cometbft_rpc_urls", ()),
        verification=verification,
        depth=table.integer("depth", 0, 255),
        depth_max=table.integer("depth_max", 0, 255, 16),
        handler_gas_max=table.integer("handler_gas_max", 1, _U32_MAX, 2_000_000),
        light_client=_light_client(table),
        notaries=_notaries(table),
    )
    if (chain.light_client is None) != (verification is Method.NOTARY):
        raise table.wrong("light_client", "is needed exactly where verification is spv or both")
    if (chain.notaries is None) != (verification is Method.SPV):
        raise table.wrong("notaries", "is needed exactly where verification is notary or both")
    if chain.light_client is not None and not chain.cometbft_rpc_urls:
        raise table.wrong("cometbft_rpc_urls", "is missing: a light client starts from a header that a node tells")
    if chain.depth > chain.depth_max:
        raise table.wrong("depth", f"is {chain.depth}, above depth_max, {chain.depth_max}")
    for url in (*chain.rpc_urls, *chain.cometbft_rpc_urls):
        if not url.startswith(("http://", "https://")):
            raise table.wrong("rpc_urls", f"{url!r} must start with http:// or https://")
    table.finish()
    return chain


def _light_client(chain: TomlTable) -> LightClientWish | None:
    table = chain.optional_table("light_client", f"{chain.place} light_client")
    if table is None:
        return None
    wish = LightClientWish(
        table.integer("trusting_period_seconds", 1, _U32_MAX, 14 * 24 * 3600),
        table.integer("clock_drift_seconds", 0, _U16_MAX, 10),
        table.optional_integer("height", 1, _U64_MAX),
    )
    table.finish()
    return wish


def _notaries(chain: TomlTable) -> NotariesWish | None:
    table = chain.optional_table("notaries", f"{chain.place} notaries")
    if table is None:
        return None
    members = []
    for member in table.tables("member", f"{chain.place} notary"):
        members.append(NotaryWish(member.address("address"), member.text("operator", "").strip()))
        member.finish()
    wish = NotariesWish(table.integer("epoch", 1, _U32_MAX, 1), table.integer("k", 1, 32), tuple(members))
    table.finish()
    if not 1 <= len(members) <= 32:
        raise table.wrong("member", f"there are {len(members)}; 1 to 32 are possible")
    return wish


def _gateway(table: TomlTable) -> GatewayWish:
    wish = GatewayWish(table.address("address"), table.integer("quota", 1, _U32_MAX, 10_000))
    table.finish()
    return wish
