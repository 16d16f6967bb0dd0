"""What the contracts refuse, in words, with what to do about it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from piebridge.crypto.errors import PermanentChainError
from piebridge.management_chain.chain.contracts import ContractName, artifact

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # all
        "MalformedMessage": "the governor message is for another contract or chain, or is no message",
        "WrongCounter": "another governor message came first: sign again with the next counter",
        "WrongKeyEpoch": "the governor key was rotated since this was signed: sign again with the current one",
        "WrongGovernorSignature": "the governors have not signed this",
        "MalformedBody": "the governor message asks for something that this contract does not do",
        "OnlyThroughRegistry": "this contract only lends its code to the DomainRegistry: call that one",
        "OnlySelf": "only the contract itself may call this: send it as a governor message",
        "NotEnoughGas": "too little gas: send the same again with more",
        "MalformedSignature": "a signature is not in its one form (65 bytes, low s)",
        # GovernorBoard
        "NotAGovernor": "this account is no member of the set of governors concerned",
        "MalformedSet": "this is no set of governors: accounts all different, k more than two thirds outside --dev",
        "SetKnown": "this set of governors was declared before; go on with it",
        "SetUnknown": "this set of governors was not declared yet",
        "MalformedCeremony": "a ceremony of this kind cannot be opened so: look at kind, set, rounds and their length",
        "NoCeremony": "there is no ceremony of this number",
        "NoRound": "this ceremony has no such round",
        "RoundOver": "the round is over: too late for this post",
        "PostedBefore": "this governor has posted or confirmed here before; a second time changes nothing",
        "PayloadTooLong": "the post is longer than the board takes",
        "MalformedKey": "this is no group key that signatures can be checked with",
        "TooFewConfirmations": "more governors must confirm the key first",
        "WrongKeySignature": "the new governor key has not signed its own registration",
        "KeyRegisteredBefore": "there is a governor key already; another one comes by `governor rotate`",
        "MalformedCommitments": "commitments are no list of curve points",
        # NodeMarket
        "NotAnOperator": "this account is no operator yet: the governors have to admit it first",
        "NotYourNode": "this node belongs to another operator",
        "NotTheAgent": "this account is neither the node's agent nor its operator",
        "OnlyRegistry": "only the DomainRegistry may do this",
        "WrongNodeState": "the node is not in a state for this; `piebridge node status` shows where it is",
        "Suspended": "the governors have suspended this operator",
        "BondTooSmall": "the bond does not cover all nodes: `node offer --post-bond` posts what is missing",
        "WrongAmount": "the amount is 0 or more than is free",
        "NotYetClaimable": "the withdrawal delay is not over",
        "PaymentFailed": "the account refuses the money",
        "MalformedOffer": "the offer is not accepted: keys, window, peer, endpoint must be as `node offer` makes them",
        "KeyUsedBefore": "this key was in an offer before: a node needs fresh keys for each offer",
        "WrongPossession": "a key of the node has not signed the offer",
        "MarketFull": "the market has no room for another node",
        "DrawPending": "a draw is pending and candidates cannot step back: try again when it is over",
        "NoEquivocation": "these two statements convict nobody",
        # DomainRegistry
        "NoRegistration": "there is no such registration, or it is closed: `piebridge domain register` makes one",
        "NotTheRepresentative": "this account does not represent that registration",
        "WrongHub": "this is no hub, or the registration is bound already, for ever: a new hub is a new registration",
        "WrongRequestState": "the request is not in a state for this; `piebridge domain status` says what it waits for",
        "WrongDomainState": "the domain is not in a state for this; `piebridge domain status` says what it waits for",
        "MalformedRequest": "the request breaks a rule of its format; `piebridge domain lint` says which",
        "StaleRequest": "the domain has changed since this request was made: make it anew",
        "WrongExpiry": "the request has expired, or expires more than 30 days ahead",
        "NotExpired": "the request has not expired yet",
        "NotAParty": "this registration has no say in this request",
        "ActedBefore": "this representative has said so before; nothing is left to do for it in this step",
        "WrongApproval": "the approval is of the wrong kind: single-operator consensus must be named by every "
        "approval, with --single-operator, and other requests must not name it",
        "NotEnoughNodes": "too few nodes are on offer for all seats: operators have to offer more, or ask for less",
        "TooEarly": "the seed of the draw is not there yet: wait for the block",
        "WrongCandidates": "these are not the candidates that were fixed at closing",
        "WrongDecision": "this is not the decision that was drawn: look at it again before confirming",
        "NotASeat": "this node has no seat that could report this",
        "WrongReport": "this was reported before, or says nothing",
        "WrongPeriod": "it is not time for this period, or another one comes first",
        "WrongRelayState": "the relay chain is not in a state for this",
        "NoGovernorKey": "there is no governor key yet: the governors have to make one first",
        # ApplicationDirectory
        "NoApplication": "there is no such application, or it is suspended",
        "NotThePublisher": "this account does not publish that application",
        "MalformedDescription": "a name, type, number, protocol or quota is out of bounds",
        "WrongPlacement": "the placement is not what is agreed to, or there is none",
    }
)
"""Custom errors of the contracts: what happened and what to do."""


class ContractRefusedError(PermanentChainError):
    """A contract of the management chain refuses a call."""

    def __init__(self, what: str, error: str | None, words: str | None) -> None:
        """Say it.

        Args:
            what: what was tried.
            error: the contract's error with its values; None where it gives none.
            words: what it means; None for one that is not known here.
        """
        reason = f"{words} [{error}]" if words and error else error or words or "the contract gives no reason"
        super().__init__(f"{what}: {reason}")
        self.error = error
        """The contract's error with its values, for example ``WrongCounter(3, 2)``."""


def explain(data: bytes) -> tuple[str | None, str | None]:
    """Return what revert data say: the error with its values, and what it means.

    Args:
        data: as the node told them; may be empty.
    """
    for name in ContractName:
        if data and (text := artifact(name).decode_error(data)) is not None:
            return text, WORDS.get(text.partition("(")[0])
    return (f"0x{data.hex()}" if data else None), None


def refusal(what: str, data: bytes) -> ContractRefusedError:
    """Return the error that says what a contract refuses."""
    return ContractRefusedError(what, *explain(data))
