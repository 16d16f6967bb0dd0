"""Governor messages: which domain they have, what is ordered, and that a bad body is apart from a bad message."""

from dataclasses import replace

import pytest

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.signature import public_key_of
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_hub_bodies import HubKind, Pause, PauseScope, Unpause
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    RegisterChain,
    RelayKind,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.verification.base import Method
from testkit.samples import Samples, governor_key, governor_sign, key_address, private_key

HUB = b"\x77" * 20


def message(kind: int, body: bytes, domain: int) -> GovernorMessage:
    return GovernorMessage(TargetKind.HUB, domain, 11, 1, kind, HUB, 1, body).signed(governor_sign)


def test_the_domain_is_zero_exactly_for_what_concerns_the_hub_as_a_whole() -> None:
    hub_wide = {HubKind.REGISTER_APPLICATION, HubKind.CLOSE, HubKind.ROTATE, HubKind.APPLICATION_CALL}
    for body in Samples(1).hub_bodies():
        if isinstance(body, Pause | Unpause):
            continue
        for domain in (0, 1):
            given = message(body.KIND, body.encode(), domain)
            if body.KIND == HubKind.NO_OP or (domain == 0) == (body.KIND in hub_wide):
                assert given.decode_body() == body
            else:
                with pytest.raises(FormatError) as caught:
                    given.decode_body()
                assert caught.value.code is ErrorCode.GOVERNOR_SCOPE


@pytest.mark.parametrize(
    ("scope", "identifier", "domain", "accepted"),
    [
        (PauseScope.APPLICATION, 5, 0, True),
        (PauseScope.APPLICATION, 5, 1, False),
        (PauseScope.RELAY, 5, 1, True),
        (PauseScope.RELAY, 5, 0, False),
        (PauseScope.DOMAIN, 5, 5, True),
        (PauseScope.DOMAIN, 5, 4, False),
    ],
)
def test_the_domain_of_a_pause_follows_its_scope(
    scope: PauseScope, identifier: int, domain: int, accepted: bool
) -> None:
    for body in (Pause(scope, identifier), Unpause(scope, identifier)):
        given = message(body.KIND, body.encode(), domain)
        if accepted:
            assert given.decode_body() == body
        else:
            with pytest.raises(FormatError):
                given.decode_body()


def test_pause_and_freeze_stand_outside_the_order() -> None:
    unordered = {kind for kind in HubKind if not message(kind, b"", 0).ordered}
    assert unordered == {HubKind.PAUSE, HubKind.FREEZE_RELAY}
    to_relay = GovernorMessage(TargetKind.RELAY, 1, 5, 1, 1, bytes(20), 1, b"")
    assert {kind for kind in RelayKind if not replace(to_relay, kind=kind).ordered} == {
        RelayKind.FREEZE,
        RelayKind.PAUSE,
    }


def test_a_bad_body_leaves_a_well_formed_message() -> None:
    for kind, body in ((99, b""), (2, b"\x01"), (14, b"\x00" * 4)):
        given = GovernorMessage.decode(message(kind, body, 0).encode())
        given.verify(governor_key())
        with pytest.raises(FormatError):
            given.decode_body()


def test_a_message_is_bound_to_everything_in_it() -> None:
    given = message(2, b"body", 1)
    others = [
        replace(given, target_kind=TargetKind.RELAY),
        replace(given, domain=2),
        replace(given, target=12),
        replace(given, key_epoch=2),
        replace(given, kind=3),
        replace(given, contract=b"\x78" * 20),
        replace(given, counter=2),
        replace(given, body=b"bodz"),
    ]
    given.verify(governor_key())
    for other in others:
        with pytest.raises(VerificationError):
            other.verify(governor_key())


def test_an_unsigned_message_is_not_encoded() -> None:
    with pytest.raises(FormatError):
        replace(message(1, b"", 1), signature=b"").encode()


def test_the_parts_of_a_registration_fit_its_method() -> None:
    samples = Samples(2)
    checkpoint, notaries = samples.checkpoint(), samples.notary_set()
    accepted = 0
    for method in Method:
        for kind in ClientKind:
            for start in (checkpoint, None):
                for members in (notaries, None):
                    body = RegisterChain(11, HUB, 1, kind, method, 1, 2, 100, start, members)
                    fits = (
                        (kind is ClientKind.NONE) == (method is Method.NOTARY)
                        and (start is None) == (method is Method.NOTARY)
                        and (members is None) == (method is Method.SPV)
                    )
                    accepted += fits
                    if fits:
                        assert body.encode()
                    else:
                        with pytest.raises(FormatError):
                            body.encode()
    assert accepted == 3
    with pytest.raises(FormatError):
        RegisterChain(11, HUB, 1, ClientKind.COMETBFT, Method.SPV, 3, 2, 100, checkpoint, None).encode()
    with pytest.raises(FormatError):
        RegisterChain(11, bytes(20), 1, ClientKind.COMETBFT, Method.SPV, 1, 2, 100, checkpoint, None).encode()


def test_the_chain_id_of_a_checkpoint_is_a_name_that_cometbft_takes() -> None:
    good = Samples(3).checkpoint()
    for name in ("x", "x" * 50, "piebridge-1-5"):
        assert CometBftCheckpoint.decode(replace(good, chain_id=name).encode()).chain_id == name
    for name in ("", "x" * 51, "a b", "a\n", "\u00e9"):
        with pytest.raises(FormatError):
            replace(good, chain_id=name).encode()
    with pytest.raises(FormatError):
        replace(good, height=0).encode()


def test_a_validator_set_has_distinct_real_keys() -> None:
    keys = tuple(ValidatorKeys(public_key_of(private_key(100 + n)), key_address(n)) for n in (1, 2, 3, 4))
    good = ValidatorSet(1, 3, keys)
    assert good.safe
    assert not replace(good, threshold=2).safe
    assert good.endorsers.keys == tuple(key_address(n) for n in (1, 2, 3, 4))
    bad = [
        replace(good, epoch=0),
        replace(good, threshold=5),
        replace(good, validators=(*keys[:3], replace(keys[3], consensus_key=keys[0].consensus_key))),
        replace(good, validators=(*keys[:3], replace(keys[3], endorsement_address=keys[0].endorsement_address))),
        replace(good, validators=(*keys[:3], replace(keys[3], endorsement_address=bytes(20)))),
        replace(good, validators=(*keys[:3], replace(keys[3], consensus_key=b"\x02" + (5).to_bytes(32, "big")))),
    ]
    for candidate in bad:
        with pytest.raises(FormatError):
            candidate.encode()
