"""Key generation, refresh and resharing for any sizes and any choice of who is there."""

from collections.abc import Collection, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from piebridge.crypto.hash import sha256
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element
from piebridge.crypto.threshold.shares import KeyShare, ThresholdKey, combine
from piebridge.crypto.threshold.sharing import ParticipantSecrets, Sharing, SharingKind


def run(
    kind: SharingKind,
    seed: bytes,
    members: Collection[int],
    threshold: int,
    qualified: Collection[int],
    previous: ThresholdKey | None = None,
    shares: Mapping[int, KeyShare] | None = None,
) -> tuple[ThresholdKey, dict[int, KeyShare]]:
    """One ceremony in which only the qualified count."""
    present, context = shares or {}, sha256(seed + bytes([kind]))
    secrets = {each: ParticipantSecrets(each, context, sha256(context + bytes([each]))) for each in members}
    keys = {each: known.transport_key for each, known in secrets.items()}
    sharing = Sharing(kind, context, threshold, keys, previous)
    dealings = {each: sharing.deal(secrets[each], present.get(each)) for each in sharing.dealers}
    for dealer, dealing in dealings.items():
        sharing.check_dealing(dealer, dealing)
    counted = {dealer: dealing for dealer, dealing in dealings.items() if dealer in qualified}
    key = sharing.conclude(counted, qualified)
    return key, {each: sharing.key_share(secrets[each], counted, key, present.get(each)) for each in qualified}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_threshold_of_shares_is_the_key_through_all_ceremonies(data: st.DataObject) -> None:
    members = data.draw(st.lists(st.integers(1, 100), min_size=2, max_size=7, unique=True))
    threshold = data.draw(st.integers(2, len(members)))
    seed = data.draw(st.binary(min_size=32, max_size=32))

    def some(of: Collection[int], least: int) -> list[int]:
        return data.draw(st.lists(st.sampled_from(sorted(of)), min_size=least, max_size=len(of), unique=True))

    holders = some(members, threshold)
    key, shares = run(SharingKind.KEY_GENERATION, seed, members, threshold, holders)
    check(key, shares, some(holders, threshold))

    stayed = some(holders, threshold)
    refreshed, fresh = run(SharingKind.REFRESH, seed, stayed, threshold, stayed, key, shares)
    assert refreshed.public_key == key.public_key
    assert all(fresh[each].secret != shares[each].secret for each in stayed)
    check(refreshed, fresh, some(stayed, threshold))

    newcomers = data.draw(st.lists(st.integers(101, 110), max_size=3, unique=True))
    everybody = [*stayed, *newcomers]
    changed = data.draw(st.integers(2, len(everybody)))
    reshared, last = run(SharingKind.RESHARING, seed, everybody, changed, everybody, refreshed, fresh)
    assert (reshared.public_key, reshared.threshold) == (key.public_key, changed)
    check(reshared, last, some(everybody, changed))


def check(key: ThresholdKey, shares: Mapping[int, KeyShare], signers: Collection[int]) -> None:
    secret = combine([shares[each] for each in signers])
    assert encode_element(base_times(secret)) == key.public_key
    assert {each: share.verifying_share for each, share in shares.items()} == key.verifying_shares
