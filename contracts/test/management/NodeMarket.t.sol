// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGoverned} from "../../src/management/interfaces/IGoverned.sol";
import {INodeMarket} from "../../src/management/interfaces/INodeMarket.sol";
import {ManagementFixture} from "./ManagementFixture.sol";

contract NodeMarketTest is ManagementFixture {
    address private constant STRANGER = address(0x5757);

    function setUp() public {
        setUpManagement(false);
        setUpGovernors();
    }

    function _asRegistry(bytes memory data) private {
        assertRefused(address(registry), address(market), data, 0, "as the registry");
    }

    /// @dev Seats a node in a relay chain, as the registry would.
    function _seat(uint64 node, uint32 relay) private {
        _asRegistry(abi.encodeCall(market.reserve, (node, relay)));
        _asRegistry(abi.encodeCall(market.seat, (_list(node))));
    }

    function _list(uint64 node) private pure returns (uint64[] memory list) {
        list = new uint64[](1);
        list[0] = node;
    }

    // ------------------------------------------------------------------------------------------------------------ operators and bonds

    function testOnlyGovernorsAdmit() public {
        bytes4 none = INodeMarket.NotAnOperator.selector;
        assertRefused(STRANGER, address(market), abi.encodeCall(market.postBond, ()), none, "bond");
        assertRefused(STRANGER, address(market), abi.encodeCall(market.requestWithdrawal, (1)), none, "withdrawal");
        assertRefused(STRANGER, address(market), abi.encodeCall(market.claimWithdrawal, ()), none, "claim");
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 1, 5);
        assertRefused(STRANGER, address(market), abi.encodeCall(market.offerNode, (offer, a, b)), none, "offer");
        addOperator(0, 1);
        assertEq(market.operatorIdOf(operatorAccount(0)), 1, "operator");
        assertReason(
            tryGovern(market, 0, 2, abi.encodePacked(operatorAccount(0))), IGoverned.MalformedBody.selector, "twice"
        );
        assertReason(tryGovern(market, 0, 2, abi.encodePacked(address(0))), IGoverned.MalformedBody.selector, "zero");
    }

    function testBondsAreWithdrawnInTime() public {
        addOperator(0, 3);
        offerNode(0, 1, 100);
        address operator = operatorAccount(0);
        bytes4 wrong = INodeMarket.WrongAmount.selector;
        assertRefused(
            operator, address(market), abi.encodeCall(market.requestWithdrawal, (2 * BOND + 1)), wrong, "more"
        );
        assertRefused(operator, address(market), abi.encodeCall(market.requestWithdrawal, (0)), wrong, "nothing");
        assertRefused(operator, address(market), abi.encodeCall(market.claimWithdrawal, ()), wrong, "unrequested");
        assertRefused(operator, address(market), abi.encodeCall(market.postBond, ()), wrong, "empty bond");
        assertRefused(operator, address(market), abi.encodeCall(market.requestWithdrawal, (2 * BOND)), 0, "the rest");
        vm.warp(block.timestamp + DELAY - 1);
        assertRefused(
            operator,
            address(market),
            abi.encodeCall(market.claimWithdrawal, ()),
            INodeMarket.NotYetClaimable.selector,
            "early"
        );
        vm.warp(block.timestamp + 1);
        uint256 before = operator.balance;
        assertRefused(operator, address(market), abi.encodeCall(market.claimWithdrawal, ()), 0, "in time");
        assertEq(operator.balance - before, 2 * BOND, "paid");
        assertEq(address(market).balance, BOND, "kept");
        // Another node needs another bond.
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 2, 5);
        assertRefused(
            operator,
            address(market),
            abi.encodeCall(market.offerNode, (offer, a, b)),
            INodeMarket.BondTooSmall.selector,
            "without a bond"
        );
    }

    function testSuspendedOperatorsNeitherOfferNorWithdraw() public {
        addOperator(0, 3);
        offerNode(0, 1, 100);
        govern(market, 0, 4, abi.encodePacked(uint32(1), uint8(1)));
        bytes4 suspended = INodeMarket.Suspended.selector;
        address operator = operatorAccount(0);
        assertRefused(operator, address(market), abi.encodeCall(market.requestWithdrawal, (1)), suspended, "withdraw");
        assertRefused(operator, address(market), abi.encodeCall(market.claimWithdrawal, ()), suspended, "claim");
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 2, 5);
        assertRefused(operator, address(market), abi.encodeCall(market.offerNode, (offer, a, b)), suspended, "offer");
        assertEq(_candidates(50).length, 0, "candidates");
        govern(market, 0, 4, abi.encodePacked(uint32(1), uint8(0)));
        assertEq(_candidates(50).length, 20, "candidates again");
        bytes4 malformed = IGoverned.MalformedBody.selector;
        assertReason(tryGovern(market, 0, 4, abi.encodePacked(uint32(1), uint8(2))), malformed, "2");
        assertReason(tryGovern(market, 0, 4, abi.encodePacked(uint32(2), uint8(1))), malformed, "unknown operator");
    }

    function _candidates(uint32 leastCapacity) private returns (bytes memory candidates) {
        vm.prank(address(registry));
        candidates = market.beginDraw(leastCapacity, 1 days);
        _asRegistry(abi.encodeCall(market.endDraw, ()));
    }

    // ------------------------------------------------------------------------------------------------------------ offers

    function testOffersAreReadStrictly() public {
        addOperator(0, 5);
        address operator = operatorAccount(0);
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 1, 5);
        bytes4 malformed = INodeMarket.MalformedOffer.selector;
        _offered(bytes.concat(offer, hex"00"), a, b, malformed, "longer");
        _offered(slice(offer, offer.length - 1), a, b, malformed, "shorter");
        _offered(slice(offer, 94), a, b, malformed, "cut");
        _offered(_with(offer, 0, 0x04), a, b, malformed, "prefix of the consensus key");
        _offered(_with(offer, 76, 0), a, b, malformed, "no capacity");
        _offered(_with(offer, 85, 0xff), a, b, 0, "another end of the time");
        (offer, a, b) = offerOf(1, 2, 5);
        _offered(_with(offer, 93, 22), a, b, malformed, "a short peer");
        _offered(_with(offer, 114, 0x20), a, b, malformed, "a space in the peer");
        _offered(_with(offer, offer.length - 1, 0x80), a, b, malformed, "beyond ASCII in the endpoint");
        _offered(_with(offer, 77, 0xff), a, b, malformed, "from behind until");
        bytes4 possession = INodeMarket.WrongPossession.selector;
        _offered(offer, b, a, possession, "exchanged signatures");
        _offered(offer, "", b, possession, "no signature");
        _offered(_with(offer, 40, uint8(offer[40]) ^ 1), a, b, possession, "another endorsement key");
        _offered(offer, highS(a), b, possession, "second form of the signature");
        (bytes memory foreign, bytes memory c, bytes memory d) = offerOf(2, 2, 5);
        _offered(foreign, c, d, possession, "signed for another operator");
        _offered(offer, a, b, 0, "the original");
        _offered(offer, a, b, INodeMarket.KeyUsedBefore.selector, "again");
        (uint32 operators, uint64 nodes) = market.counts();
        assertTrue(operators == 1 && nodes == 2, "counts");
        INodeMarket.NodeView memory node = market.nodeOf(2);
        assertEq(node.consensusKey, slice(offer, 33), "consensus key");
        assertTrue(node.state == 1 && node.capacity == 5 && node.reputation == 1000, "node");
        assertEq(node.endorsement, vm.addr(endorsementSecret(2)), "endorsement");
        assertEq(market.seatOf(2), abi.encodePacked(uint64(2), uint32(1), slice(offer, 53)), "seat");
        assertEq(operator, operatorAccount(0), "operator");
    }

    function _offered(bytes memory offer, bytes memory a, bytes memory b, bytes4 expected, string memory what) private {
        assertRefused(
            operatorAccount(0), address(market), abi.encodeCall(market.offerNode, (offer, a, b)), expected, what
        );
    }

    function slice(bytes memory data, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            part[i] = data[i];
        }
    }

    function _with(bytes memory data, uint256 index, uint8 value) private pure returns (bytes memory changed) {
        changed = slice(data, data.length);
        changed[index] = bytes1(value);
    }

    function highS(bytes memory signature) internal pure returns (bytes memory other) {
        bytes32 r;
        uint256 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        uint8 v = uint8(signature[64]) == 27 ? 28 : 27;
        return abi.encodePacked(r, 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - s, v);
    }

    function testNobodyHandlesTheNodeOfAnother() public {
        addNodes(2, 1);
        address other = operatorAccount(1);
        bytes4 own = INodeMarket.NotYourNode.selector;
        assertRefused(other, address(market), abi.encodeCall(market.withdrawNode, (1)), own, "withdraw");
        assertRefused(other, address(market), abi.encodeCall(market.leaveSeat, (1)), own, "leave");
        assertRefused(other, address(market), abi.encodeCall(market.exitSeat, (1)), own, "exit");
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(2, 7, 5);
        assertRefused(other, address(market), abi.encodeCall(market.renewNode, (1, offer, a, b)), own, "renew");
        bytes4 agent = INodeMarket.NotTheAgent.selector;
        assertRefused(other, address(market), abi.encodeCall(market.heartbeat, (1)), agent, "heartbeat");
        assertRefused(other, address(market), abi.encodeCall(market.setPeer, (1, "", "")), agent, "peer");
        assertRefused(
            agentAccount(1),
            address(market),
            abi.encodeCall(market.withdrawNode, (1)),
            INodeMarket.NotAnOperator.selector,
            "agents withdraw nothing"
        );
        assertRefused(agentAccount(1), address(market), abi.encodeCall(market.heartbeat, (1)), 0, "agent");
        bytes memory peer = abi.encodePacked(bytes20(uint160(9)), "h:1");
        assertRefused(agentAccount(1), address(market), abi.encodeCall(market.setPeer, (1, peer, "")), 0, "peer");
        assertEq(market.nodeOf(1).peer, peer, "peer");
    }

    function testOnlyTheRegistryDraws() public {
        addNodes(1, 1);
        bytes[8] memory calls = [
            abi.encodeCall(market.beginDraw, (1, 1)),
            abi.encodeCall(market.endDraw, ()),
            abi.encodeCall(market.reserve, (1, 1)),
            abi.encodeCall(market.release, (_list(1))),
            abi.encodeCall(market.seat, (_list(1))),
            abi.encodeCall(market.unseat, (1, _list(1), true)),
            abi.encodeCall(market.recordNoShow, (1)),
            abi.encodeCall(market.recordPeriod, (1, _list(1), 1))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            assertRefused(
                operatorAccount(0), address(market), calls[i], INodeMarket.OnlyRegistry.selector, vm.toString(i)
            );
        }
    }

    // ------------------------------------------------------------------------------------------------------------ states

    function testLifeOfANode() public {
        addNodes(1, 2);
        address operator = operatorAccount(0);
        bytes4 wrong = INodeMarket.WrongNodeState.selector;
        assertRefused(operator, address(market), abi.encodeCall(market.leaveSeat, (1)), wrong, "no seat to leave");
        _seat(1, 7);
        assertEq(market.offeredNodes().length, 1, "offered");
        assertRefused(operator, address(market), abi.encodeCall(market.withdrawNode, (1)), wrong, "withdraw seated");
        assertRefused(operator, address(market), abi.encodeCall(market.leaveSeat, (1)), 0, "leave");
        assertEq(nodeState(1), 4, "leaving");
        _asRegistry(abi.encodeCall(market.unseat, (6, _list(1), true)));
        assertEq(nodeState(1), 4, "of another relay chain");
        _asRegistry(abi.encodeCall(market.unseat, (7, _list(1), true)));
        assertEq(nodeState(1), 5, "spent");
        assertEq(reputationOf(1), 1500, "an orderly end earns");
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 1, 5);
        bytes memory data = abi.encodeCall(market.renewNode, (1, offer, a, b));
        assertRefused(operator, address(market), data, INodeMarket.KeyUsedBefore.selector, "old keys");
        (offer, a, b) = offerOf(1, 9, 5);
        assertRefused(operator, address(market), abi.encodeCall(market.renewNode, (1, offer, a, b)), 0, "new keys");
        assertEq(nodeState(1), 1, "offered again");
        assertEq(reputationOf(1), 1500, "reputation stays");
        assertRefused(operator, address(market), abi.encodeCall(market.withdrawNode, (1)), 0, "withdraw");
        assertRefused(operator, address(market), abi.encodeCall(market.withdrawNode, (1)), wrong, "withdraw again");
        (,,,, uint32 nodes,,) = market.operatorOf(1);
        assertEq(nodes, 1, "nodes that need a bond");
    }

    function testNobodyStepsBackFromADraw() public {
        addNodes(1, 2);
        vm.prank(address(registry));
        market.beginDraw(1, 1);
        bytes memory data = abi.encodeCall(market.withdrawNode, (1));
        assertRefused(operatorAccount(0), address(market), data, INodeMarket.DrawPending.selector, "pending");
        _asRegistry(abi.encodeCall(market.endDraw, ()));
        assertRefused(operatorAccount(0), address(market), data, 0, "over");
    }

    // ------------------------------------------------------------------------------------------------------------ reputation

    function testReputationByItsRules() public {
        addNodes(1, 1);
        _seat(1, 7);
        _asRegistry(abi.encodeCall(market.recordPeriod, (7, _list(1), 1)));
        assertEq(reputationOf(1), 1281, "present: + 9000 / 32");
        _asRegistry(abi.encodeCall(market.recordPeriod, (8, _list(1), 1)));
        assertEq(reputationOf(1), 1281, "of another relay chain");
        _asRegistry(abi.encodeCall(market.recordPeriod, (7, _list(1), 0)));
        assertEq(reputationOf(1), 1120, "absent: - 161");
        _asRegistry(abi.encodeCall(market.recordPeriod, (7, _list(1), 0)));
        assertEq(reputationOf(1), 980, "absent: - 140");
        (, uint128 bonded,,,, uint16 start,) = market.operatorOf(1);
        assertTrue(bonded == BOND && start == 980, "the next node starts no better");
        _asRegistry(abi.encodeCall(market.recordPeriod, (7, _list(1), 0)));
        assertEq(reputationOf(1), 428, "third absence: - 123, then half");
        (, bonded,,,,,) = market.operatorOf(1);
        assertEq(bonded, BOND - BOND / 4, "a quarter is forfeited");
        assertEq(market.forfeited(), BOND / 4, "forfeited");
        assertEq(nodeState(1), 3, "the seat is kept");
        _asRegistry(abi.encodeCall(market.recordNoShow, (1)));
        assertEq(reputationOf(1), 214, "no-show");
    }

    function testAbsenceDecays() public {
        addNodes(1, 1);
        vm.warp(block.timestamp + 604_799);
        assertEq(reputationOf(1), 1000, "a week is not over");
        vm.warp(block.timestamp + 1);
        assertEq(reputationOf(1), 500, "a week");
        vm.warp(block.timestamp + 604_800);
        assertEq(reputationOf(1), 250, "two weeks");
        vm.prank(agentAccount(1));
        market.heartbeat(1);
        vm.warp(block.timestamp + 604_799);
        assertEq(reputationOf(1), 250, "seen again");
        vm.warp(block.timestamp + 400 weeks);
        assertEq(reputationOf(1), 0, "gone");
        assertEq(_candidates(1).length, 0, "no candidate");
    }

    function testWeightsOfCandidates() public {
        addOperator(0, 3);
        offerNode(0, 1, 100);
        offerNode(0, 2, 1000);
        offerNode(0, 3, 49);
        bytes memory expected = abi.encodePacked(
            abi.encodePacked(uint64(1), uint32(1), uint64(100 * 1000)),
            abi.encodePacked(uint64(2), uint32(1), uint64(200 * 1000))
        );
        assertEq(_candidates(50), expected, "capacity counts up to four times the least; too small is out");
        // On probation a node counts with at most 1 000, afterwards with what it has.
        _asRegistry(abi.encodeCall(market.reserve, (1, 7)));
        _asRegistry(abi.encodeCall(market.seat, (_list(1))));
        for (uint256 i = 0; i < 8; i++) {
            _asRegistry(abi.encodeCall(market.recordPeriod, (7, _list(1), 1)));
        }
        _asRegistry(abi.encodeCall(market.unseat, (7, _list(1), true)));
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 11, 100);
        vm.prank(operatorAccount(0));
        market.renewNode(1, offer, a, b);
        uint256 reputation = reputationOf(1);
        assertTrue(reputation > 2500, "reputation");
        bytes memory last = abi.encodePacked(uint64(1), uint32(1), uint64(100 * reputation));
        bytes memory list = _candidates(100);
        assertEq(
            list, bytes.concat(abi.encodePacked(uint64(2), uint32(1), uint64(400 * 1000)), last), "after probation"
        );
        vm.warp(block.timestamp + 364 days + 1 days);
        assertEq(_candidates(100).length, 0, "outside of their time");
    }

    function testLeavingWithoutNoticeCosts() public {
        addNodes(1, 2);
        _seat(1, 7);
        vm.prank(operatorAccount(0));
        market.exitSeat(1);
        assertEq(nodeState(1), 5, "spent");
        assertEq(reputationOf(1), 500, "half");
        (, uint128 bonded,,,, uint16 start,) = market.operatorOf(1);
        assertTrue(bonded == 2 * BOND - BOND / 4 && start == 500, "bond and start");
        assertEq(_candidates(1).length, 0, "the bond does not cover all nodes: the other is no candidate");
    }

    // ------------------------------------------------------------------------------------------------------------ judgement and evidence

    function testSlashDisburseRestore() public {
        addNodes(1, 1);
        bytes4 malformed = IGoverned.MalformedBody.selector;
        bytes memory body = abi.encodePacked(uint64(1), uint128(2 * BOND), uint16(100), bytes32("reason"));
        assertReason(
            tryGovern(market, 0, 3, abi.encodePacked(uint64(1), uint128(1), uint16(1001), bytes32(0))),
            malformed,
            "a higher reputation"
        );
        assertReason(
            tryGovern(market, 0, 3, abi.encodePacked(uint64(2), uint128(1), uint16(0), bytes32(0))),
            malformed,
            "no node"
        );
        govern(market, 0, 3, body);
        (, uint128 bonded,,,, uint16 start,) = market.operatorOf(1);
        assertTrue(bonded == 0 && start == 100 && reputationOf(1) == 100, "never more than there is");
        assertEq(market.forfeited(), BOND, "forfeited");
        assertReason(
            tryGovern(market, 0, 5, abi.encodePacked(STRANGER, uint128(BOND + 1))),
            INodeMarket.WrongAmount.selector,
            "more than was forfeited"
        );
        govern(market, 0, 5, abi.encodePacked(STRANGER, uint128(BOND)));
        assertEq(STRANGER.balance, BOND, "disbursed");
        assertReason(
            tryGovern(market, 0, 5, abi.encodePacked(address(market), uint128(0))),
            INodeMarket.WrongAmount.selector,
            "nothing"
        );
        assertReason(tryGovern(market, 0, 6, abi.encodePacked(uint32(1), uint16(1001))), malformed, "too high a start");
        govern(market, 0, 6, abi.encodePacked(uint32(1), uint16(900)));
        (,,,,, start,) = market.operatorOf(1);
        assertEq(start, 900, "restored");
    }

    function _statement(uint256 key, uint32 domain, uint32 relay, uint32 epoch, uint64 number, bytes32 value)
        private
        pure
        returns (bytes memory)
    {
        uint32 destination = 22;
        bytes32 digest = keccak256(
            abi.encodePacked(
                keccak256("PIEBRIDGE/ENDORSE/v1"), domain, destination, epoch, uint8(1), relay, number, value
            )
        );
        return abi.encodePacked(domain, relay, destination, epoch, number, value, ecdsa(endorsementSecret(key), digest));
    }

    function testProvenEquivocationZeroesAndSlashes() public {
        addNodes(1, 2);
        _seat(1, 7);
        bytes memory first = _statement(1, 3, 7, 1, 5, "a");
        bytes memory second = _statement(1, 3, 7, 2, 5, "b");
        bytes4 none = INodeMarket.NoEquivocation.selector;
        _evidence(first, first, none, "one statement");
        _evidence(first, _statement(1, 3, 7, 2, 5, "a"), none, "the same value under another epoch");
        _evidence(first, _statement(1, 3, 7, 1, 6, "b"), none, "another number");
        _evidence(first, _statement(1, 4, 7, 1, 5, "b"), none, "another domain");
        _evidence(first, _statement(2, 3, 7, 1, 5, "b"), none, "another key");
        _evidence(_statement(1, 3, 8, 1, 5, "a"), _statement(1, 3, 8, 1, 5, "b"), none, "a relay chain without a seat");
        _evidence(_statement(2, 3, 7, 1, 5, "a"), _statement(2, 3, 7, 1, 5, "b"), none, "a key without a seat");
        _evidence(_statement(99, 3, 7, 1, 5, "a"), _statement(99, 3, 7, 1, 5, "b"), none, "a key of nobody");
        _evidence(first, bytes.concat(second, hex"00"), none, "longer");
        bytes memory broken = bytes.concat(second);
        broken[120] = 0x00;
        _evidence(first, broken, none, "no signature");
        _evidence(first, second, 0, "evidence");
        assertEq(nodeState(1), 7, "convicted");
        assertEq(reputationOf(1), 0, "zero");
        (, uint128 bonded,,, uint32 nodes, uint16 start, bool suspended) = market.operatorOf(1);
        assertTrue(bonded == BOND && nodes == 1 && start == 0 && suspended, "operator");
        assertEq(market.forfeited(), BOND, "forfeited");
        _evidence(first, second, INodeMarket.WrongNodeState.selector, "again");
    }

    function testNewKeysDoNotWashOldOnes() public {
        addNodes(1, 1);
        vm.deal(operatorAccount(0), 10 ether);
        vm.prank(operatorAccount(0));
        market.postBond{value: 1 ether}();
        _seat(1, 7);
        vm.prank(operatorAccount(0));
        market.exitSeat(1);
        (bytes memory offer, bytes memory a, bytes memory b) = offerOf(1, 9, 5);
        vm.prank(operatorAccount(0));
        market.renewNode(1, offer, a, b);
        _evidence(_statement(1, 3, 7, 1, 5, "a"), _statement(1, 3, 7, 1, 5, "b"), 0, "evidence");
        assertEq(nodeState(1), 7, "convicted");
        assertEq(market.offeredNodes().length, 0, "no longer offered");
    }

    function _evidence(bytes memory first, bytes memory second, bytes4 expected, string memory what) private {
        assertRefused(
            STRANGER, address(market), abi.encodeCall(market.reportEquivocation, (first, second)), expected, what
        );
    }

    // ------------------------------------------------------------------------------------------------------------ accounting

    /// Whatever happens in whatever order: the contract holds bonds, what waits, and what was forfeited, to the wei.
    function testBondsAreNeverLost(uint256 seed) public {
        addNodes(3, 2);
        for (uint256 step = 0; step < 40; step++) {
            seed = uint256(keccak256(abi.encode(seed, step)));
            address operator = operatorAccount(seed % 3);
            uint64 node = uint64(1 + (seed >> 8) % 6);
            uint256 what = (seed >> 16) % 9;
            uint128 amount = uint128((seed >> 32) % (2 * BOND));
            if (what == 0) {
                vm.prank(operator);
                market.postBond{value: amount + 1}();
            } else if (what == 1) {
                refusal(operator, address(market), abi.encodeCall(market.requestWithdrawal, (amount)));
            } else if (what == 2) {
                refusal(operator, address(market), abi.encodeCall(market.claimWithdrawal, ()));
            } else if (what == 3) {
                refusal(address(registry), address(market), abi.encodeCall(market.reserve, (node, 7)));
                refusal(address(registry), address(market), abi.encodeCall(market.seat, (_list(node))));
            } else if (what == 4) {
                refusal(operator, address(market), abi.encodeCall(market.exitSeat, (node)));
            } else if (what == 5) {
                refusal(
                    address(registry), address(market), abi.encodeCall(market.recordPeriod, (7, _list(node), seed & 1))
                );
            } else if (what == 6) {
                tryGovern(market, 0, 3, abi.encodePacked(node, amount, uint16(0), bytes32(0)));
            } else if (what == 7) {
                tryGovern(market, 0, 5, abi.encodePacked(STRANGER, amount));
            } else {
                vm.warp(block.timestamp + amount % 3 days);
            }
            _checkAccounts();
        }
    }

    function _checkAccounts() private view {
        uint256 sum = market.forfeited();
        for (uint32 id = 1; id <= 3; id++) {
            (, uint128 bonded, uint128 unbonding,,,,) = market.operatorOf(id);
            sum += uint256(bonded) + unbonding;
        }
        assertEq(address(market).balance, sum, "accounts");
    }
}
