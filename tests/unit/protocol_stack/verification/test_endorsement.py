"""An endorsement by one FROST signature (method 3), and that neither method passes for the other."""

from dataclasses import replace

import pytest

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet, Envelope, SignedValue
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, BareEntry, OutboxRange
from piebridge.protocol_stack.verification.endorsement import is_equivocation, verify_envelope
from testkit.samples import governor_key

DOMAIN, RELAY, HERE, EPOCH = 1, 5, 22, 3
SECRET, OTHER_SECRET = 0x5EED, 0x5EEE


def group_set(secret: int = SECRET) -> EndorsementSet:
    return EndorsementSet(EPOCH, EndorsementMethod.THRESHOLD, 3, 4, (group_key(secret),))


def group_key(secret: int) -> bytes:
    return encode_element(base_times(secret))


def sign(digest: bytes, secret: int = SECRET) -> bytes:
    return sign_single(secret, digest, bytes(32))


def envelope(destination: int = HERE, *, secret: int = SECRET) -> Envelope:
    entries = OutboxRange(RELAY_CHAIN, 1, bytes([7]) * 32, (BareEntry(9, b"\x01" * 32), BareEntry(9, b"\x02" * 32)))
    unsigned = Envelope(DOMAIN, RELAY, group_set(), b"", entries)
    return replace(unsigned, proof=sign(unsigned.digest(destination), secret))


ACCEPTED = {group_set().set_hash(DOMAIN, RELAY)}


def test_a_group_signature_over_the_end_of_the_range_is_accepted() -> None:
    honest = envelope()
    assert verify_envelope(Envelope.decode(honest.encode()), HERE, ACCEPTED) == honest.range.fold()


def test_a_signature_of_another_key_destination_or_range_is_refused() -> None:
    honest = envelope()
    other_range = replace(honest.range, entries=honest.range.entries[:1])
    for forged in (envelope(secret=OTHER_SECRET), envelope(HERE + 1), replace(honest, range=other_range)):
        with pytest.raises(VerificationError):
            verify_envelope(forged, HERE, ACCEPTED)


def test_a_set_that_is_not_accepted_is_refused_whatever_it_signs() -> None:
    with pytest.raises(VerificationError):
        verify_envelope(envelope(), HERE, {group_set(OTHER_SECRET).set_hash(DOMAIN, RELAY)})
    with pytest.raises(VerificationError):
        verify_envelope(envelope(), HERE, set())


@pytest.mark.parametrize("z", [0, GROUP_ORDER, 2**256 - 1])
def test_z_is_in_1_to_n_minus_1(z: int) -> None:
    honest = envelope()
    assert isinstance(honest.proof, bytes)
    with pytest.raises(DecodingError):
        verify_envelope(replace(honest, proof=honest.proof[:33] + z.to_bytes(32, "big")), HERE, ACCEPTED)


def test_neither_method_passes_for_the_other() -> None:
    honest = envelope()
    one_member = EndorsementSet(EPOCH, EndorsementMethod.SIGNATURES, 1, 1, (b"\x01" * 20,))
    one_holder = EndorsementSet(EPOCH, EndorsementMethod.THRESHOLD, 1, 1, (governor_key(),))
    accepted = {item.set_hash(DOMAIN, RELAY) for item in (one_member, one_holder)}
    for signers, proof in ((one_member, honest.proof), (one_holder, Quorum(1, (bytes(65),)))):
        with pytest.raises(VerificationError, match="not of the method"):
            verify_envelope(replace(honest, signers=signers, proof=proof), HERE, accepted)


def test_two_values_signed_by_the_group_for_one_number_are_equivocation() -> None:
    def signed(value: bytes, number: int = 2) -> SignedValue:
        unsigned = SignedValue(DOMAIN, RELAY, group_set(), b"", HERE, number, value)
        return replace(unsigned, proof=sign(unsigned.digest))

    one, other = signed(b"\x01" * 32), signed(b"\x02" * 32)
    assert is_equivocation(one, other, ACCEPTED)
    assert not is_equivocation(one, one, ACCEPTED)
    assert not is_equivocation(one, signed(b"\x02" * 32, number=3), ACCEPTED)
    with pytest.raises(VerificationError):
        is_equivocation(one, replace(other, value=b"\x03" * 32), ACCEPTED)
