from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold import sharing as module
from piebridge.crypto.threshold.ciphersuite import base_times, decode_element, encode_element, times
from piebridge.crypto.threshold.shares import KeyShare, ThresholdKey, combine, split
from piebridge.crypto.threshold.sharing import (
    Dealing,
    ParticipantSecrets,
    Sharing,
    SharingKind,
    UnusableKeyError,
    verify_transport_key,
)
from piebridge.crypto.threshold.signing import aggregate, generate_nonces, sign_partially
from piebridge.crypto.threshold.transport import agree, seal_share
from piebridge.crypto.threshold.verification import verify

CONTEXT = sha256(b"ceremony")
MESSAGE = sha256(b"message")


def secrets_of(members: Collection[int], context: bytes = CONTEXT) -> dict[int, ParticipantSecrets]:
    return {each: ParticipantSecrets(each, context, sha256(b"seed %d" % each + context)) for each in members}


def begin(
    kind: SharingKind,
    secrets: Mapping[int, ParticipantSecrets],
    threshold: int = 3,
    previous: ThresholdKey | None = None,
) -> Sharing:
    context = next(iter(secrets.values())).context
    return Sharing(kind, context, threshold, {each: known.transport_key for each, known in secrets.items()}, previous)


def generate(members: Collection[int] = (1, 2, 3, 4)) -> tuple[ThresholdKey, dict[int, KeyShare]]:
    secrets = secrets_of(members)
    sharing = begin(SharingKind.KEY_GENERATION, secrets)
    dealings = {each: sharing.deal(known) for each, known in secrets.items()}
    for dealer, dealing in dealings.items():
        sharing.check_dealing(dealer, dealing)
    key = sharing.conclude(dealings, members)
    return key, {each: sharing.key_share(known, dealings, key) for each, known in secrets.items()}


KEY, SHARES = generate()


def check_signature(key: ThresholdKey, shares: Collection[KeyShare]) -> None:
    nonces, commitments = {}, []
    for share in shares:
        nonces[share.identifier], commitment = generate_nonces(
            share,
            hiding_entropy=sha256(b"hiding %d" % share.identifier),
            binding_entropy=sha256(b"binding %d" % share.identifier),
        )
        commitments.append(commitment)
    partials = [sign_partially(share, nonces[share.identifier], MESSAGE, commitments) for share in shares]
    verify(aggregate(partials, key, MESSAGE, commitments), MESSAGE, key.public_key)


def test_generated_key_is_that_of_its_shares_and_signs() -> None:
    for missing in SHARES:
        chosen = [share for identifier, share in SHARES.items() if identifier != missing]
        assert encode_element(base_times(combine(chosen))) == KEY.public_key
        check_signature(KEY, chosen)
    assert {each: share.verifying_share for each, share in SHARES.items()} == KEY.verifying_shares
    assert KEY.threshold == 3


def test_nobodys_part_alone_is_the_key() -> None:
    secrets = secrets_of((1, 2, 3))
    sharing = begin(SharingKind.KEY_GENERATION, secrets)
    dealings = {each: sharing.deal(known) for each, known in secrets.items()}
    key = sharing.conclude(dealings, dealings)
    assert key.public_key not in {dealing.commitments[0] for dealing in dealings.values()}
    secret = sum(known.coefficient(0) for known in secrets.values()) % GROUP_ORDER
    assert encode_element(base_times(secret)) == key.public_key


def test_same_seed_gives_the_same_dealing_and_another_ceremony_another() -> None:
    secrets = secrets_of((1, 2, 3))
    sharing = begin(SharingKind.KEY_GENERATION, secrets)
    assert sharing.deal(secrets[1]) == sharing.deal(ParticipantSecrets(1, CONTEXT, secrets[1].seed))
    elsewhere = ParticipantSecrets(1, sha256(b"other"), secrets[1].seed)
    assert elsewhere.transport_key != secrets[1].transport_key
    assert elsewhere.coefficient(1) != secrets[1].coefficient(1)
    with pytest.raises(VerificationError, match="not those"):
        sharing.deal(elsewhere)
    assert secrets[1].seed.hex() not in repr(secrets[1])


def test_refresh_keeps_the_key_and_makes_old_shares_worthless() -> None:
    context = sha256(b"refresh")
    secrets = secrets_of((1, 2, 4), context)
    sharing = begin(SharingKind.REFRESH, secrets, previous=KEY)
    dealings = {each: sharing.deal(known) for each, known in secrets.items()}
    for dealer, dealing in dealings.items():
        sharing.check_dealing(dealer, dealing)
        assert len(dealing.commitments) == 2
    key = sharing.conclude(dealings, secrets)
    shares = {each: sharing.key_share(known, dealings, key, SHARES[each]) for each, known in secrets.items()}
    assert key.public_key == KEY.public_key
    check_signature(key, list(shares.values()))
    assert all(shares[each].secret != SHARES[each].secret for each in shares)
    mixed = [SHARES[1], shares[2], shares[4]]
    with pytest.raises(VerificationError, match="too few, or one is wrong"):
        combine(mixed)
    with pytest.raises(VerificationError, match="signers 1;"):
        check_signature(key, mixed)


@pytest.mark.parametrize(
    ("old", "new", "threshold"), [((1, 2, 3), (5, 6), 4), ((2, 3, 4), (), 2), ((1, 3, 4), (9,), 3)]
)
def test_resharing_admits_members_and_changes_the_threshold(
    old: tuple[int, ...], new: tuple[int, ...], threshold: int
) -> None:
    context = sha256(b"resharing")
    secrets = secrets_of((*old, *new), context)
    sharing = begin(SharingKind.RESHARING, secrets, threshold, KEY)
    assert sharing.dealers == old
    dealings = {each: sharing.deal(secrets[each], SHARES[each]) for each in old}
    for dealer, dealing in dealings.items():
        sharing.check_dealing(dealer, dealing)
    key = sharing.conclude(dealings, secrets)
    shares = [sharing.key_share(known, dealings, key, SHARES.get(each)) for each, known in secrets.items()]
    assert (key.public_key, key.threshold) == (KEY.public_key, threshold)
    check_signature(key, shares[-threshold:])
    with pytest.raises(VerificationError, match="does not deal"):
        sharing.check_dealing(99, dealings[old[0]])
    with pytest.raises(VerificationError, match="too few"):
        sharing.conclude({each: dealings[each] for each in old[:2]}, secrets)
    with pytest.raises(VerificationError, match="missing or not that"):
        sharing.deal(secrets[old[0]])
    with pytest.raises(VerificationError, match="missing or not that"):
        sharing.deal(secrets[old[0]], SHARES[old[1]])


def test_row_38_resharing_of_another_value_than_the_share_is_seen() -> None:
    secrets = secrets_of((1, 2, 3), sha256(b"resharing"))
    honest = begin(SharingKind.RESHARING, secrets, 3, KEY)
    other_key = replace(KEY, verifying_shares={**KEY.verifying_shares, 1: SHARES[2].verifying_share})
    dealing = begin(SharingKind.RESHARING, secrets, 3, other_key).deal(secrets[1], replace(SHARES[2], identifier=1))
    with pytest.raises(VerificationError, match="constant term"):
        honest.check_dealing(1, dealing)


SECRETS = secrets_of((1, 2, 3, 4))
SHARING = begin(SharingKind.KEY_GENERATION, SECRETS)
DEALINGS = {each: SHARING.deal(known) for each, known in SECRETS.items()}


def bad_dealings() -> dict[str, Dealing]:
    good, other = DEALINGS[1], DEALINGS[2]
    turned = bytes([good.commitments[0][0] ^ 1]) + good.commitments[0][1:]
    return {
        "fewer commitments": replace(good, commitments=good.commitments[:-1]),
        "more commitments": replace(good, commitments=(*good.commitments, good.commitments[1])),
        "no point": replace(good, commitments=(*good.commitments[:-1], bytes(33))),
        "constant of another": replace(good, commitments=(other.commitments[0], *good.commitments[1:])),
        "negated constant": replace(good, commitments=(turned, *good.commitments[1:])),
        "proof of another": replace(good, possession=other.possession),
        "no proof": replace(good, possession=b""),
        "all of another": other,
        "share left out": replace(good, sealed_shares={2: good.sealed_shares[2], 3: good.sealed_shares[3]}),
        "share for itself": replace(good, sealed_shares={**good.sealed_shares, 1: good.sealed_shares[2]}),
    }


@pytest.mark.parametrize("name", bad_dealings())
def test_row_38_wrong_dealing_is_seen_by_everybody(name: str) -> None:
    with pytest.raises(ProtocolError):
        SHARING.check_dealing(1, bad_dealings()[name])


def test_row_38_proofs_of_another_ceremony_or_purpose_do_not_count() -> None:
    elsewhere = secrets_of((1, 2, 3, 4), sha256(b"another ceremony"))
    verify_transport_key(1, CONTEXT, SECRETS[1].transport_key, SECRETS[1].prove_transport_key())
    for identifier, key, proof in (
        (2, SECRETS[1].transport_key, SECRETS[1].prove_transport_key()),
        (1, SECRETS[2].transport_key, SECRETS[1].prove_transport_key()),
        (1, elsewhere[1].transport_key, elsewhere[1].prove_transport_key()),
        (1, DEALINGS[1].commitments[0], DEALINGS[1].possession),
    ):
        with pytest.raises(VerificationError):
            verify_transport_key(identifier, CONTEXT, key, proof)
    replayed = begin(SharingKind.KEY_GENERATION, elsewhere).deal(elsewhere[1])
    with pytest.raises(VerificationError):
        SHARING.check_dealing(1, replayed)


def resealed(value: int, dealer: int = 1, receiver: int = 2) -> Dealing:
    point = agree(SECRETS[dealer].transport_secret, SECRETS[receiver].transport_key)
    sealed = seal_share(value, point, CONTEXT, dealer, receiver)
    return replace(DEALINGS[dealer], sealed_shares={**DEALINGS[dealer].sealed_shares, receiver: sealed})


@pytest.mark.parametrize("value", [0, 1, GROUP_ORDER, (1 << 256) - 1])
def test_row_38_wrong_share_convicts_the_dealer(value: int) -> None:
    bad = resealed(value)
    SHARING.check_dealing(1, bad)
    with pytest.raises(ProtocolError):
        SHARING.receive(SECRETS[2], 1, bad)
    complaint = SHARING.complain(SECRETS[2], 1)
    assert SHARING.judge(2, complaint, bad) == 1
    assert SHARING.judge(2, complaint, DEALINGS[1]) == 2, "the same complaint about a right share convicts its maker"
    # The others got right shares.
    assert SHARING.receive(SECRETS[3], 1, bad) == SHARING.receive(SECRETS[3], 1, DEALINGS[1])


def test_row_38_ciphertext_that_does_not_open_convicts_the_dealer() -> None:
    sealed = bytearray(DEALINGS[1].sealed_shares[2])
    sealed[5] ^= 1
    bad = replace(DEALINGS[1], sealed_shares={**DEALINGS[1].sealed_shares, 2: bytes(sealed)})
    assert SHARING.judge(2, SHARING.complain(SECRETS[2], 1), bad) == 1


def test_row_38_complaint_with_a_wrong_point_or_proof_convicts_its_maker() -> None:
    bad = resealed(1)
    honest = SHARING.complain(SECRETS[2], 1)
    other = SHARING.complain(SECRETS[2], 3)
    point = encode_element(times(decode_element(honest.shared_point), 2))
    for complaint in (
        replace(honest, shared_point=point),
        replace(honest, shared_point=bytes(33)),
        replace(honest, equality=other.equality),
        replace(other, dealer=1),
        replace(honest, equality=honest.equality[:-1]),
        replace(honest, equality=honest.equality[:-32] + bytes(32)),
        SHARING.complain(SECRETS[3], 1),
    ):
        assert SHARING.judge(2, complaint, bad) == 2


def test_shares_are_sealed_for_one_receiver_of_one_dealer() -> None:
    swapped = {**DEALINGS[1].sealed_shares, 2: DEALINGS[1].sealed_shares[3]}
    with pytest.raises(VerificationError):
        SHARING.receive(SECRETS[2], 1, replace(DEALINGS[1], sealed_shares=swapped))
    mirrored = {**DEALINGS[1].sealed_shares, 2: DEALINGS[2].sealed_shares[1]}
    with pytest.raises(VerificationError):
        SHARING.receive(SECRETS[2], 1, replace(DEALINGS[1], sealed_shares=mirrored))


def test_qualified_dealers_alone_make_the_key() -> None:
    chosen = {each: DEALINGS[each] for each in (1, 3, 4)}
    key = SHARING.conclude(chosen, (1, 3, 4))
    assert set(key.verifying_shares) == {1, 3, 4}
    assert key.public_key != KEY.public_key
    shares = [SHARING.key_share(SECRETS[each], chosen, key) for each in (1, 3, 4)]
    check_signature(key, shares)
    with pytest.raises(VerificationError, match="too few"):
        SHARING.conclude({each: DEALINGS[each] for each in (1, 3)}, (1, 2, 3, 4))
    with pytest.raises(VerificationError, match="too few"):
        SHARING.conclude(DEALINGS, (1, 2))
    with pytest.raises(VerificationError, match="verifying share"):
        SHARING.key_share(SECRETS[1], DEALINGS, key)


def test_key_that_contracts_cannot_use_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a key cannot be found; the check that would meet it is made to refuse this one."""

    def refuse(data: bytes) -> None:
        raise DecodingError("x coordinate of the group key is not below the group order; generate another key")

    monkeypatch.setattr(module, "decode_group_key", refuse)
    with pytest.raises(UnusableKeyError, match="below the group order"):
        SHARING.conclude(DEALINGS, DEALINGS)


def test_key_or_share_that_is_the_identity_is_refused() -> None:
    negated = tuple(bytes([each[0] ^ 1]) + each[1:] for each in DEALINGS[1].commitments)
    cancelling = {1: DEALINGS[1], 2: replace(DEALINGS[2], commitments=negated), 3: DEALINGS[3]}
    third = split(5, [6, 7], 4)[0]
    sharing = begin(SharingKind.KEY_GENERATION, SECRETS, 2)
    with pytest.raises(UnusableKeyError, match="identity"):
        sharing.conclude({1: cancelling[1], 2: cancelling[2]}, (3, 4))
    assert SHARING.conclude(cancelling, (1, 2, 3)).public_key == DEALINGS[3].commitments[0]
    assert third.threshold == 3


@pytest.mark.parametrize(
    ("kind", "members", "threshold", "previous"),
    [
        (SharingKind.KEY_GENERATION, (1, 2, 3), 4, None),
        (SharingKind.KEY_GENERATION, (1, 2, 3), 1, None),
        (SharingKind.KEY_GENERATION, (1, 2, 3), 3, KEY),
        (SharingKind.REFRESH, (1, 2, 3), 3, None),
        (SharingKind.REFRESH, (1, 2, 3), 2, KEY),
        (SharingKind.REFRESH, (1, 2, 5), 3, KEY),
        (SharingKind.RESHARING, (1, 2, 5, 6), 3, KEY),
        (SharingKind.RESHARING, (1, 2, 3), 3, None),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    kind: SharingKind, members: tuple[int, ...], threshold: int, previous: ThresholdKey | None
) -> None:
    with pytest.raises(VerificationError):
        begin(kind, secrets_of(members), threshold, previous)


def test_malformed_secrets_are_refused() -> None:
    with pytest.raises(VerificationError):
        ParticipantSecrets(0, CONTEXT, CONTEXT)
    for context, seed in ((CONTEXT[:31], CONTEXT), (CONTEXT, CONTEXT[:31])):
        with pytest.raises(ValueError, match="32 bytes"):
            ParticipantSecrets(1, context, seed)
