"""Routing: every transaction has one relay chain, and free packets spread and stay put."""

from collections import Counter

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange, free_candidates, routing_slot


def test_a_slot_is_the_last_ten_bits_of_the_hash() -> None:
    digest = keccak256(bytes.fromhex("0000000b0000001600000002"))
    assert routing_slot(11, 22, 2) == int.from_bytes(digest, "big") & 1023


def test_every_slot_has_its_relay() -> None:
    policy = RoutingPolicy(1, (SlotRange(5, 0, 512), SlotRange(7, 512, 512)))
    assert RoutingPolicy.decode(policy.encode()) == policy
    for application in range(1, 200):
        expected = 5 if routing_slot(11, 22, application) < 512 else 7
        assert policy.relay_of(11, 22, application) == expected


def test_free_packets_spread_evenly_and_only_the_share_of_a_lost_relay_moves() -> None:
    relays = (3, 5, 7, 9)
    before = {height: free_candidates(relays, 11, height) for height in range(4_000)}
    shares = Counter(candidates[0] for candidates in before.values())
    assert all(900 < shares[relay] < 1_100 for relay in relays)
    assert all(len(set(candidates)) == 2 for candidates in before.values())
    for height, candidates in before.items():
        after = free_candidates((3, 5, 7), 11, height)
        if candidates[0] != 9:
            assert after[0] == candidates[0]
        else:
            assert after[0] == candidates[1]


def test_one_relay_is_the_only_candidate() -> None:
    assert free_candidates((3,), 11, 1) == (3,)
    assert free_candidates((), 11, 1) == ()
