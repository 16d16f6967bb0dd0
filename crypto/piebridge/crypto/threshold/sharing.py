"""Distributed key generation, refresh and resharing: one verifiable secret sharing by many dealers.

Pedersen's key generation with Feldman's commitments and proofs of possession (FROST paper, figure 1; Gennaro et al.
2007 for what a rushing adversary can and cannot do to the key), in the form in which commitments, proof and encrypted
shares are one message (Chu et al. 2023, SimplPedPop). The rules and bytes are those of
``docs/protocol/governors.md``, section 3; here are the values, without messages, time or order.

Everything secret of a participant is derived from one seed of a ceremony, so that it makes the same values again after
a crash.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from coincurve import PublicKey

from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.hash import HASH_LENGTH
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import (
    add_or_identity,
    base_times,
    decode_element,
    decode_group_key,
    derive_secret,
    encode_element,
    times,
)
from piebridge.crypto.threshold.proofs import prove_equality, prove_possession, verify_equality, verify_possession
from piebridge.crypto.threshold.shares import (
    SIGNERS_MIN,
    KeyShare,
    ThresholdKey,
    check_identifier,
    evaluate_polynomial,
    interpolation_coefficient,
)
from piebridge.crypto.threshold.transport import agree, open_share, seal_share

_TRANSPORT_PURPOSE = b"\x01"
_CONSTANT_PURPOSE = b"\x02"


class SharingKind(IntEnum):
    """What a sharing is for, which decides the constant term of a dealer's polynomial."""

    KEY_GENERATION = 1
    """A new key: the constant term is random."""
    REFRESH = 2
    """New shares of the same key for its holders: the constant term is zero."""
    RESHARING = 3
    """New shares of the same key, also for new members: the constant term is the dealer's share."""


class UnusableKeyError(VerificationError):
    """The sum of honest parts is no usable key, with a probability of about 2**-128. Nobody is to blame: begin anew."""


@dataclass(frozen=True, slots=True)
class Dealing:
    """What one dealer publishes."""

    commitments: tuple[bytes, ...]
    """``a_k * G`` for each coefficient that is not fixed at zero, in ascending order, 33 bytes each."""
    possession: bytes
    """Proof for the constant term in key generation, 65 bytes; else empty."""
    sealed_shares: Mapping[int, bytes]
    """Encrypted share (48 bytes) of every other participant, by identifier."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a receiver shows so that everybody can open the share it was sent."""

    dealer: int
    """Whom it accuses."""
    shared_point: bytes
    """Point that its transport key and the dealer's agree on, 33 bytes."""
    equality: bytes
    """Proof that it is this point, 98 bytes."""


@dataclass(frozen=True, slots=True)
class ParticipantSecrets:
    """Secret side of one participant of one ceremony."""

    identifier: int
    """The participant."""
    context: bytes
    """Id of the ceremony, 32 bytes."""
    seed: bytes = field(repr=False)
    """32 random bytes that serve for this ceremony alone."""

    def __post_init__(self) -> None:
        """Check identifier and lengths.

        Raises:
            VerificationError: the identifier is out of range.
            ValueError: context or seed has another length than 32 bytes.
        """
        check_identifier(self.identifier)
        if len(self.context) != HASH_LENGTH or len(self.seed) != HASH_LENGTH:
            raise ValueError("the context of a ceremony and a seed have 32 bytes")

    @property
    def transport_secret(self) -> int:
        """Secret of the transport key, a scalar."""
        return derive_secret(self.seed, b"transport" + self.context)

    @property
    def transport_key(self) -> bytes:
        """Key under which others encrypt shares for this participant, 33 bytes."""
        return encode_element(base_times(self.transport_secret))

    def prove_transport_key(self) -> bytes:
        """Return the proof of possession of the transport key, 65 bytes."""
        context = self.context + _TRANSPORT_PURPOSE
        return prove_possession(self.transport_secret, self.identifier, context, self.seed)

    def coefficient(self, power: int) -> int:
        """Return the coefficient of a power of x in this dealer's polynomial, a scalar in 1..n-1."""
        return derive_secret(self.seed, b"coefficient" + power.to_bytes(2, "big") + self.context)


def verify_transport_key(identifier: int, context: bytes, transport_key: bytes, possession: bytes) -> None:
    """Check that a participant knows the secret of its transport key.

    Raises:
        DecodingError: key or proof is malformed.
        VerificationError: the proof does not hold.
    """
    verify_possession(transport_key, identifier, context + _TRANSPORT_PURPOSE, possession)


@dataclass(frozen=True)
class Sharing:
    """What everybody knows of a ceremony once it is known who takes part."""

    kind: SharingKind
    """What it is for."""
    context: bytes
    """Id of the ceremony, 32 bytes."""
    threshold: int
    """t of the shares that it makes."""
    transport_keys: Mapping[int, bytes]
    """Key (33 bytes) of each participant by identifier; each was checked by :func:`verify_transport_key`."""
    previous: ThresholdKey | None = None
    """The key that is shared anew; None for a new one."""

    def __post_init__(self) -> None:
        """Check that the parameters fit each other.

        Raises:
            VerificationError: they do not.
        """
        if not SIGNERS_MIN <= self.threshold <= len(self.transport_keys):
            raise VerificationError("threshold is not in 2..number of participants", actual=self.threshold)
        if (self.previous is None) != (self.kind is SharingKind.KEY_GENERATION):
            raise VerificationError("exactly a key that is not generated has been there before")
        if self.kind is SharingKind.REFRESH and (
            self._previous.threshold != self.threshold
            or self.transport_keys.keys() - self._previous.verifying_shares.keys()
        ):
            raise VerificationError("a refresh keeps the threshold and is among holders of shares")
        if len(self.dealers) < self.dealers_min:
            raise VerificationError("too few dealers", expected=self.dealers_min, actual=len(self.dealers))

    @cached_property
    def dealers(self) -> tuple[int, ...]:
        """Who deals, in ascending order: all, in a resharing those who hold a share."""
        if self.kind is SharingKind.RESHARING:
            return tuple(sorted(self.transport_keys.keys() & self._previous.verifying_shares.keys()))
        return tuple(sorted(self.transport_keys))

    @property
    def dealers_min(self) -> int:
        """Least number of qualified dealers: so many that one of them is honest, or that they determine the key."""
        return self._previous.threshold if self.kind is SharingKind.RESHARING else self.threshold

    @property
    def _previous(self) -> ThresholdKey:
        assert self.previous is not None, "checked by __post_init__"
        return self.previous

    @property
    def _first_power(self) -> int:
        return 1 if self.kind is SharingKind.REFRESH else 0

    def deal(self, secrets: ParticipantSecrets, share: KeyShare | None = None) -> Dealing:
        """Return what a participant publishes as dealer.

        Args:
            secrets: of the participant, made for this ceremony.
            share: its present share, in a resharing.

        Raises:
            VerificationError: it is no dealer of this ceremony, or its share is not that of the key.
        """
        polynomial = self._polynomial(secrets, share)
        known = polynomial[self._first_power :]
        possession = b""
        if self.kind is SharingKind.KEY_GENERATION:
            context = self.context + _CONSTANT_PURPOSE
            possession = prove_possession(polynomial[0], secrets.identifier, context, secrets.seed)
        sealed = {
            receiver: seal_share(
                evaluate_polynomial(polynomial, receiver),
                agree(secrets.transport_secret, key),
                self.context,
                secrets.identifier,
                receiver,
            )
            for receiver, key in sorted(self.transport_keys.items())
            if receiver != secrets.identifier
        }
        return Dealing(tuple(encode_element(base_times(each)) for each in known), possession, sealed)

    def check_dealing(self, dealer: int, dealing: Dealing) -> None:
        """Check what everybody can check of a dealing; whether the shares are right only their receivers see.

        Raises:
            DecodingError: an element, proof or ciphertext is malformed.
            VerificationError: it is of no dealer, has the wrong parts, or a wrong constant term.
        """
        if dealer not in self.dealers:
            raise VerificationError("dealing of somebody who does not deal", actual=dealer)
        if len(dealing.commitments) != self.threshold - self._first_power:
            raise VerificationError(
                "number of commitments", expected=self.threshold - self._first_power, actual=len(dealing.commitments)
            )
        for commitment in dealing.commitments:
            decode_element(commitment)
        if dealing.sealed_shares.keys() != self.transport_keys.keys() - {dealer}:
            raise VerificationError("sealed shares are not one for each other participant")
        if self.kind is SharingKind.KEY_GENERATION:
            context = self.context + _CONSTANT_PURPOSE
            verify_possession(dealing.commitments[0], dealer, context, dealing.possession)
        elif dealing.possession:
            raise VerificationError("a proof of possession where none belongs", actual=dealer)
        if self.kind is SharingKind.RESHARING and dealing.commitments[0] != self._previous.verifying_shares[dealer]:
            raise VerificationError("constant term is not the dealer's share", actual=dealer)

    def receive(self, secrets: ParticipantSecrets, dealer: int, dealing: Dealing) -> int:
        """Return the share that a participant got from another dealer, after checking it.

        Args:
            secrets: of the receiver.
            dealer: who dealt.
            dealing: a dealing that :meth:`check_dealing` has accepted.

        Raises:
            ProtocolError: the share is wrong; :meth:`complain`.
        """
        shared_point = agree(secrets.transport_secret, self.transport_keys[dealer])
        return self._open(dealer, dealing, secrets.identifier, shared_point)

    def complain(self, secrets: ParticipantSecrets, dealer: int) -> Complaint:
        """Return what shows everybody the share that a participant got from a dealer."""
        point, proof = prove_equality(
            secrets.transport_secret, secrets.identifier, self.transport_keys[dealer], self.context, secrets.seed
        )
        return Complaint(dealer, point, proof)

    def judge(self, accuser: int, complaint: Complaint, dealing: Dealing) -> int:
        """Return the culprit: the dealer if the share is wrong, the accuser if it is right or the proof is wrong.

        Args:
            accuser: who complains, a participant.
            complaint: against another participant.
            dealing: the dealing of the accused, which :meth:`check_dealing` has accepted.
        """
        dealer = complaint.dealer
        keys = self.transport_keys
        try:
            verify_equality(
                keys[accuser], accuser, keys[dealer], complaint.shared_point, self.context, complaint.equality
            )
        except ProtocolError:
            return accuser
        try:
            self._open(dealer, dealing, accuser, complaint.shared_point)
        except ProtocolError:
            return dealer
        return accuser

    def conclude(self, dealings: Mapping[int, Dealing], holders: Collection[int]) -> ThresholdKey:
        """Return the key that the dealings of the qualified dealers make, with the verifying shares of its holders.

        Args:
            dealings: accepted dealings by dealer.
            holders: who holds a share from now on; participants.

        Raises:
            VerificationError: too few dealers or holders.
            UnusableKeyError: the key or a verifying share is the identity, or x of the key is not below the order.
        """
        if len(dealings) < self.dealers_min or len(holders) < self.threshold:
            raise VerificationError("too few qualified dealers or holders", actual=(len(dealings), len(holders)))
        weights = self._weights(dealings)
        summed = [
            add_or_identity(
                times(decode_element(dealing.commitments[index]), weights[dealer])
                if weights[dealer] != 1
                else decode_element(dealing.commitments[index])
                for dealer, dealing in dealings.items()
            )
            for index in range(self.threshold - self._first_power)
        ]
        shares = {holder: self._verifying_share(summed, holder) for holder in sorted(holders)}
        if self.kind is SharingKind.KEY_GENERATION:
            if summed[0] is None:
                raise UnusableKeyError("the group key is the identity")
            public_key = encode_element(summed[0])
            try:
                decode_group_key(public_key)
            except DecodingError as error:
                raise UnusableKeyError(str(error)) from error
        else:
            public_key = self._previous.public_key
        return ThresholdKey(public_key, self.threshold, shares)

    def key_share(
        self,
        secrets: ParticipantSecrets,
        dealings: Mapping[int, Dealing],
        key: ThresholdKey,
        present: KeyShare | None = None,
    ) -> KeyShare:
        """Return a participant's share of the key that :meth:`conclude` gave, after checking it against the key.

        Args:
            secrets: of the participant.
            dealings: of the same dealers as given there.
            key: what came out.
            present: the participant's share before, in a refresh, and in a resharing if it has one.

        Raises:
            VerificationError: the share is not that of the verifying share: an argument is of another ceremony.
        """
        weights = self._weights(dealings)
        secret = 0
        for dealer, dealing in dealings.items():
            if dealer == secrets.identifier:
                part = evaluate_polynomial(self._polynomial(secrets, present), secrets.identifier)
            else:
                part = self.receive(secrets, dealer, dealing)
            secret += part * weights[dealer]
        if self.kind is SharingKind.REFRESH:
            if present is None:
                raise VerificationError("a refresh needs the present share", actual=secrets.identifier)
            secret += present.secret
        secret %= GROUP_ORDER
        expected = key.verifying_shares.get(secrets.identifier)
        if secret == 0 or encode_element(base_times(secret)) != expected:
            raise VerificationError("share is not that of the verifying share", actual=secrets.identifier)
        return KeyShare(secrets.identifier, secret, key.public_key)

    def _polynomial(self, secrets: ParticipantSecrets, share: KeyShare | None) -> list[int]:
        if secrets.identifier not in self.dealers or secrets.context != self.context:
            raise VerificationError("these secrets are not those of a dealer of this ceremony")
        if self.kind is SharingKind.KEY_GENERATION:
            constant = secrets.coefficient(0)
        elif self.kind is SharingKind.REFRESH:
            constant = 0
        else:
            if share is None or share.verifying_share != self._previous.verifying_shares[secrets.identifier]:
                raise VerificationError("share is missing or not that of the key", actual=secrets.identifier)
            constant = share.secret
        return [constant, *(secrets.coefficient(power) for power in range(1, self.threshold))]

    def _weights(self, dealings: Mapping[int, Dealing]) -> dict[int, int]:
        """Factor of each dealer's polynomial in the sum."""
        if self.kind is not SharingKind.RESHARING:
            return dict.fromkeys(dealings, 1)
        return {dealer: interpolation_coefficient(dealings.keys(), dealer) for dealer in dealings}

    def _open(self, dealer: int, dealing: Dealing, receiver: int, shared_point: bytes) -> int:
        share = open_share(dealing.sealed_shares[receiver], shared_point, self.context, dealer, receiver)
        value = self._value([decode_element(each) for each in dealing.commitments], receiver)
        if value is None or encode_element(base_times(share)) != encode_element(value):
            raise VerificationError("share does not fit the dealer's commitments", actual=dealer)
        return share

    def _verifying_share(self, summed: Sequence[PublicKey | None], holder: int) -> bytes:
        value = self._value(summed, holder)
        if self.kind is SharingKind.REFRESH:
            present = decode_element(self._previous.verifying_shares[holder])
            value = present if value is None else add_or_identity([present, value])
        if value is None:
            raise UnusableKeyError("a verifying share is the identity", actual=holder)
        return encode_element(value)

    def _value(self, coefficients: Sequence[PublicKey | None], x: int) -> PublicKey | None:
        """Return the polynomial in the exponent at x; None is the identity."""
        return add_or_identity(
            times(coefficient, pow(x, power, GROUP_ORDER)) if power else coefficient
            for power, coefficient in enumerate(coefficients, self._first_power)
            if coefficient is not None
        )
