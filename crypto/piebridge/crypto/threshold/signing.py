"""The two rounds of FROST (RFC 9591, section 5), and signing with an unshared key.

Round one: every signer makes nonces, keeps them, and publishes its commitment. Round two: every signer gets the
message and the commitments of all who sign, checks them and answers with a partial signature. Anybody can add these
up; if the sum does not verify, the partial signatures are checked one by one and the error names who cheated (section
5.4).

**Nonces serve once.** Two partial signatures with one pair of nonces give the key share away. The signer that calls
:func:`sign_partially` must have recorded durably, before it sends the answer, that these nonces are used.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import (
    add,
    base_times,
    check_secret,
    decode_element,
    decode_group_key,
    decode_scalar,
    encode_element,
    encode_scalar,
    hash_binding_factor,
    hash_challenge,
    hash_commitments,
    hash_message,
    hash_nonce,
    hash_single_signer_nonce,
    times,
)
from piebridge.crypto.threshold.shares import KeyShare, ThresholdKey, check_identifier, interpolation_coefficient
from piebridge.crypto.threshold.verification import verify

ENTROPY_LENGTH = 32
"""Fresh random bytes that each nonce needs."""


class MisbehavingSignersError(VerificationError):
    """Some partial signatures are wrong. Sign again without their makers."""

    def __init__(self, culprits: Sequence[int]) -> None:
        """Name the culprits."""
        names = ", ".join(map(str, culprits))
        super().__init__(f"wrong partial signatures of signers {names}; sign again without them")
        self.culprits = tuple(culprits)
        """Identifiers of the signers whose partial signatures do not hold, in ascending order."""


@dataclass(frozen=True, slots=True)
class SigningNonces:
    """Secret nonces of one signer for one signature."""

    hiding: int = field(repr=False)
    """Scalar."""
    binding: int = field(repr=False)
    """Scalar."""


@dataclass(frozen=True, slots=True)
class SigningCommitment:
    """Public side of a signer's nonces."""

    identifier: int
    """The signer."""
    hiding: bytes
    """``hiding nonce * G``, 33 bytes compressed."""
    binding: bytes
    """``binding nonce * G``, 33 bytes compressed."""

    def __post_init__(self) -> None:
        """Check the form, so that a malformed commitment shows with the one who sent it.

        Raises:
            VerificationError: the identifier is out of range.
            DecodingError: one of the two is no element.
        """
        check_identifier(self.identifier)
        decode_element(self.hiding)
        decode_element(self.binding)


@dataclass(frozen=True, slots=True)
class PartialSignature:
    """Answer of one signer in round two."""

    identifier: int
    """The signer."""
    z: bytes
    """Scalar, 32 bytes big endian. Checked when it is added up, so that a bad one names its maker."""


def generate_nonces(
    share: KeyShare, *, hiding_entropy: bytes, binding_entropy: bytes
) -> tuple[SigningNonces, SigningCommitment]:
    """Make the nonces of one signature and the commitment to publish (RFC 9591, sections 4.1 and 5.1).

    Args:
        share: mixed in, so that weak entropy alone does not give the nonces away.
        hiding_entropy: 32 fresh random bytes.
        binding_entropy: 32 other fresh random bytes.

    Raises:
        ValueError: the entropy has another length, or is the same twice.
    """
    if hiding_entropy == binding_entropy:
        raise ValueError("hiding and binding nonce need entropy of their own")
    nonces = SigningNonces(_nonce(share, hiding_entropy), _nonce(share, binding_entropy))
    return nonces, commitment_of(share.identifier, nonces)


def commitment_of(identifier: int, nonces: SigningNonces) -> SigningCommitment:
    """Return the public side of nonces."""
    return SigningCommitment(
        identifier, encode_element(base_times(nonces.hiding)), encode_element(base_times(nonces.binding))
    )


def sign_partially(
    share: KeyShare, nonces: SigningNonces, message: bytes, commitments: Collection[SigningCommitment]
) -> PartialSignature:
    """Return this signer's part of the signature (RFC 9591, section 5.2).

    Args:
        share: the signer's key share.
        nonces: those of this signer's commitment; see the warning of this module.
        message: what the group signs; the caller has checked that it may.
        commitments: of all who sign, this signer among them, each once.

    Raises:
        VerificationError: a signer twice, or this signer's commitment is missing or not that of the nonces.
    """
    session = _Session(commitments, share.group_public_key, message)
    own = session.commitments.get(share.identifier)
    if own != commitment_of(share.identifier, nonces):
        raise VerificationError("this signer's commitment is missing or is not that of its nonces")
    rho = session.binding_factors[share.identifier]
    weight = interpolation_coefficient(session.commitments, share.identifier)
    z = (nonces.hiding + nonces.binding * rho + weight * share.secret * session.challenge) % GROUP_ORDER
    return PartialSignature(share.identifier, encode_scalar(z))


def verify_partially(
    partial: PartialSignature, key: ThresholdKey, message: bytes, commitments: Collection[SigningCommitment]
) -> None:
    """Check one partial signature (RFC 9591, section 5.4).

    Raises:
        VerificationError: not exactly one commitment for each of at least t signers of the key, or the partial
            signature is wrong.
        DecodingError: its z is no scalar.
    """
    SigningSession(key, message, commitments).check(partial)


class SigningSession:
    """One message, one key and the commitments of all who sign: what readers check partial signatures against."""

    def __init__(self, key: ThresholdKey, message: bytes, commitments: Collection[SigningCommitment]) -> None:
        """Compute what is common to all partial signatures.

        Raises:
            VerificationError: not exactly one commitment for each of at least t signers of the key.
        """
        self._key = key
        self._message = message
        self._session = _Session(commitments, key.public_key, message)
        if len(self.signers) < key.threshold:
            raise VerificationError("fewer signers than the threshold", expected=key.threshold, actual=len(commitments))
        strangers = self._session.commitments.keys() - key.verifying_shares.keys()
        if strangers:
            raise VerificationError("commitments of signers that hold no share of the key", actual=sorted(strangers))

    @property
    def signers(self) -> tuple[int, ...]:
        """Identifiers of all who sign, in ascending order."""
        return tuple(self._session.commitments)

    def check(self, partial: PartialSignature) -> None:
        """Check one partial signature (RFC 9591, section 5.4).

        Raises:
            VerificationError: it is of nobody who signs here, or wrong.
            DecodingError: its z is no scalar.
        """
        if partial.identifier not in self._session.commitments:
            raise VerificationError("partial signature is of nobody who signs here", actual=partial.identifier)
        self._session.check(partial, self._key)

    def aggregate(self, partials: Collection[PartialSignature]) -> bytes:
        """Add the partial signatures up to the signature of the group (RFC 9591, section 5.3).

        Returns:
            ``R || z``, 65 bytes, verified.

        Raises:
            MisbehavingSignersError: some partial signatures are wrong; names their makers.
            VerificationError: not exactly one partial signature for each signer.
        """
        if sorted(partial.identifier for partial in partials) != list(self.signers):
            raise VerificationError("not exactly one partial signature for each commitment")
        try:
            z = sum(decode_scalar(partial.z) for partial in partials) % GROUP_ORDER
            signature = self._session.group_commitment + encode_scalar(z)
            verify(signature, self._message, self._key.public_key)
        except (DecodingError, VerificationError) as error:
            culprits = self._session.find_culprits(partials, self._key)
            # If every part holds, the verifying shares are not those of the group key: no signer is to blame.
            raise (MisbehavingSignersError(culprits) if culprits else error) from error
        return signature


def aggregate(
    partials: Collection[PartialSignature],
    key: ThresholdKey,
    message: bytes,
    commitments: Collection[SigningCommitment],
) -> bytes:
    """Add the partial signatures up to the signature of the group (RFC 9591, section 5.3).

    Returns:
        ``R || z``, 65 bytes, verified.

    Raises:
        MisbehavingSignersError: some partial signatures are wrong; names their makers.
        VerificationError: not exactly one commitment and one partial signature for each of at least t signers of the
        key.
    """
    return SigningSession(key, message, commitments).aggregate(partials)


def sign_single(secret: int, message: bytes, nonce_entropy: bytes) -> bytes:
    """Sign with an unshared key; the signature verifies like one of a group.

    The nonce is drawn from entropy, key and message together, so the same entropy twice does not give the key away.

    Args:
        secret: the key, in 1..n-1.
        message: what is signed.
        nonce_entropy: 32 random bytes.

    Returns:
        ``R || z``, 65 bytes.

    Raises:
        ConfigurationError: the secret is out of range.
        DecodingError: x of its public key is not below the group order (probability 2**-128).
        ValueError: the entropy has another length.
    """
    check_secret(secret)
    _check_entropy(nonce_entropy)
    public_key = encode_element(base_times(secret))
    decode_group_key(public_key)
    nonce = hash_single_signer_nonce(nonce_entropy + encode_scalar(secret) + message)
    commitment = encode_element(base_times(nonce))
    z = (nonce + secret * hash_challenge(commitment, public_key, message)) % GROUP_ORDER
    return commitment + encode_scalar(z)


class _Session:
    """What all signers of one message compute alike (RFC 9591, sections 4.3 to 4.6)."""

    def __init__(self, commitments: Collection[SigningCommitment], group_public_key: bytes, message: bytes) -> None:
        ordered = sorted(commitments, key=lambda commitment: commitment.identifier)
        self.commitments = {commitment.identifier: commitment for commitment in ordered}
        """By identifier, in ascending order."""
        if not ordered or len(self.commitments) != len(ordered):
            raise VerificationError("commitments of a signature are not one for each signer")
        encoded = b"".join(encode_scalar(each.identifier) + each.hiding + each.binding for each in ordered)
        prefix = group_public_key + hash_message(message) + hash_commitments(encoded)
        self.binding_factors = {
            identifier: hash_binding_factor(prefix + encode_scalar(identifier)) for identifier in self.commitments
        }
        self.commitment_shares = {
            each.identifier: add(
                [
                    decode_element(each.hiding),
                    times(decode_element(each.binding), self.binding_factors[each.identifier]),
                ]
            )
            for each in ordered
        }
        self.group_commitment = encode_element(add(self.commitment_shares.values()))
        self.challenge = hash_challenge(self.group_commitment, group_public_key, message)

    def check(self, partial: PartialSignature, key: ThresholdKey) -> None:
        """Check ``z_i * G == D_i + rho_i * E_i + c * lambda_i * PK_i``."""
        identifier = partial.identifier
        weight = self.challenge * interpolation_coefficient(self.commitments, identifier) % GROUP_ORDER
        expected = add(
            [self.commitment_shares[identifier], times(decode_element(key.verifying_shares[identifier]), weight)]
        )
        if encode_element(base_times(decode_scalar(partial.z))) != encode_element(expected):
            raise VerificationError("partial signature does not hold", actual=identifier)

    def find_culprits(self, partials: Collection[PartialSignature], key: ThresholdKey) -> list[int]:
        culprits = []
        for partial in partials:
            try:
                self.check(partial, key)
            except (DecodingError, VerificationError):
                culprits.append(partial.identifier)
        return sorted(culprits)


def _nonce(share: KeyShare, entropy: bytes) -> int:
    _check_entropy(entropy)
    return hash_nonce(entropy + encode_scalar(share.secret))


def _check_entropy(entropy: bytes) -> None:
    if len(entropy) != ENTROPY_LENGTH:
        raise ValueError(f"a nonce needs {ENTROPY_LENGTH} bytes of entropy, not {len(entropy)}")
