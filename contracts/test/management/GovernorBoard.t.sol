// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GovernorBoard} from "../../src/management/GovernorBoard.sol";
import {IGoverned} from "../../src/management/interfaces/IGoverned.sol";
import {IGovernorBoard} from "../../src/management/interfaces/IGovernorBoard.sol";
import {ManagementFixture} from "./ManagementFixture.sol";
import {Vm} from "../Vm.sol";

contract GovernorBoardTest is ManagementFixture {
    uint256 private constant NEXT_SECRET = 0x60ff;
    address private constant STRANGER = address(0x5757);

    function setUp() public {
        setUpManagement(false);
    }

    function _setHash(bytes memory set) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256("PIEBRIDGE/GOVERNOR_SET/v1"), set));
    }

    // ------------------------------------------------------------------------------------------------------------ sets

    function testOnlyTheFoundingSetIsDeclaredByAnybody() public {
        bytes memory other = governorSet(4, 5);
        bytes memory data = abi.encodeCall(board.declareSet, (other));
        assertRefused(STRANGER, address(board), data, IGovernorBoard.NotAGovernor.selector, "stranger, other set");
        vm.prank(STRANGER);
        bytes32 founding = board.declareSet(governorSet(3, 4));
        assertEq(founding, board.FOUNDING_SET(), "hash");
        (uint8 threshold, uint8 size) = board.setOf(founding);
        assertTrue(threshold == 3 && size == 4, "threshold and size");
        assertEq(board.memberOf(founding, governorAccount(2)), 3, "third member");
        assertEq(board.memberOf(founding, STRANGER), 0, "no member");
        assertRefused(
            STRANGER,
            address(board),
            abi.encodeCall(board.declareSet, (governorSet(3, 4))),
            IGovernorBoard.SetKnown.selector,
            "twice"
        );
        assertRefused(governorAccount(1), address(board), data, 0, "other set by a governor");
    }

    function testMalformedSetsAreRefused() public {
        board.declareSet(governorSet(3, 4));
        bytes[9] memory sets = [
            bytes(""),
            hex"01",
            governorSet(2, 3),
            governorSet(0, 4),
            governorSet(5, 4),
            governorSet(1, 1),
            bytes.concat(governorSet(3, 4), hex"00"),
            abi.encodePacked(uint8(3), uint8(3), governorAccount(0), governorAccount(1), governorAccount(0)),
            abi.encodePacked(uint8(3), uint8(3), governorAccount(0), governorAccount(1), address(0))
        ];
        for (uint256 i = 0; i < sets.length; i++) {
            assertRefused(
                governorAccount(0),
                address(board),
                abi.encodeCall(board.declareSet, (sets[i])),
                IGovernorBoard.MalformedSet.selector,
                vm.toString(i)
            );
        }
        vm.prank(governorAccount(0));
        board.declareSet(governorSet(67, 100));
    }

    // ------------------------------------------------------------------------------------------------------------ ceremonies

    function testWhoOpensWhichCeremony() public {
        bytes32 set = board.declareSet(governorSet(3, 4));
        bytes4 malformed = IGovernorBoard.MalformedCeremony.selector;
        _opened(STRANGER, 1, set, 5, 10, IGovernorBoard.NotAGovernor.selector, "stranger");
        _opened(governorAccount(0), 2, set, 2, 10, malformed, "signing without a key");
        _opened(governorAccount(0), 1, bytes32(uint256(1)), 5, 10, IGovernorBoard.SetUnknown.selector, "unknown set");
        _opened(governorAccount(0), 1, set, 0, 10, malformed, "no round");
        _opened(governorAccount(0), 1, set, 9, 10, malformed, "nine rounds");
        _opened(governorAccount(0), 1, set, 5, 0, malformed, "no block");
        _opened(governorAccount(0), 1, set, 5, 7201, malformed, "a long round");
        vm.prank(governorAccount(0));
        bytes32 other = board.declareSet(governorSet(4, 5));
        _opened(governorAccount(0), 1, other, 5, 10, malformed, "first key among others than the founders");
        _opened(governorAccount(0), 1, set, 5, 10, 0, "first key");

        _registerFirst(set);
        _opened(governorAccount(4), 1, other, 5, 10, IGovernorBoard.NotAGovernor.selector, "not yet a governor");
        _opened(governorAccount(0), 5, set, 5, 10, malformed, "unknown kind");
        _opened(governorAccount(0), 0, set, 5, 10, malformed, "kind 0");
        _opened(governorAccount(0), 2, other, 2, 10, malformed, "signing of another set");
        _opened(governorAccount(0), 3, other, 2, 10, malformed, "refresh of another set");
        _opened(governorAccount(0), 2, set, 2, 10, 0, "signing");
        _opened(governorAccount(0), 3, set, 8, 7200, 0, "refresh");
        _opened(governorAccount(0), 4, other, 5, 10, 0, "resharing");
        _opened(governorAccount(0), 1, other, 5, 10, 0, "next key");
    }

    function _opened(
        address caller,
        uint8 kind,
        bytes32 set,
        uint8 rounds,
        uint32 blocks,
        bytes4 expected,
        string memory what
    ) private {
        bytes memory data = abi.encodeCall(board.openCeremony, (kind, set, bytes32("subject"), rounds, blocks));
        assertRefused(caller, address(board), data, expected, what);
    }

    function testPostsOncePerMemberAndRoundUntilItsEnd() public {
        bytes32 set = board.declareSet(governorSet(3, 4));
        vm.prank(governorAccount(0));
        uint64 ceremony = board.openCeremony(1, set, bytes32(0), 2, 10);
        _posted(STRANGER, ceremony, 1, "x", IGovernorBoard.NotAGovernor.selector, "stranger");
        _posted(governorAccount(0), ceremony + 1, 1, "x", IGovernorBoard.NoCeremony.selector, "no ceremony");
        _posted(governorAccount(0), ceremony, 0, "x", IGovernorBoard.NoRound.selector, "round 0");
        _posted(governorAccount(0), ceremony, 3, "x", IGovernorBoard.NoRound.selector, "round 3");
        bytes memory long = new bytes(16_385);
        _posted(governorAccount(0), ceremony, 1, long, IGovernorBoard.PayloadTooLong.selector, "too long");
        vm.roll(1010);
        _posted(governorAccount(0), ceremony, 1, new bytes(16_384), 0, "in the last block");
        assertEq(board.postOf(ceremony, 1, 1), keccak256(new bytes(16_384)), "hash");
        _posted(governorAccount(0), ceremony, 1, "y", IGovernorBoard.PostedBefore.selector, "again");
        _posted(governorAccount(0), ceremony, 2, "y", 0, "next round early");
        vm.roll(1011);
        _posted(governorAccount(1), ceremony, 1, "z", IGovernorBoard.RoundOver.selector, "too late");
        assertEq(board.postOf(ceremony, 1, 2), 0, "nothing posted");
        vm.roll(1020);
        _posted(governorAccount(1), ceremony, 2, "", 0, "empty payload");
        _posted(governorAccount(1), ceremony, 2, "", IGovernorBoard.PostedBefore.selector, "empty payload again");
        vm.roll(1021);
        _posted(governorAccount(2), ceremony, 2, "z", IGovernorBoard.RoundOver.selector, "ceremony over");
    }

    function _posted(
        address caller,
        uint64 ceremony,
        uint8 round,
        bytes memory payload,
        bytes4 expected,
        string memory what
    ) private {
        assertRefused(caller, address(board), abi.encodeCall(board.post, (ceremony, round, 7, payload)), expected, what);
    }

    // ------------------------------------------------------------------------------------------------------------ the key

    function _registerFirst(bytes32 set) private returns (uint64 ceremony) {
        ceremony = ceremonyOf(set, 3, GOVERNOR_SECRET);
        bytes memory key = groupKey(GOVERNOR_SECRET);
        board.registerFirstKey(ceremony, key, keySignature(GOVERNOR_SECRET, keyDigest(1, ceremony, set, key)));
    }

    function testTheFirstKeyNeedsItsMembersAndItself() public {
        bytes32 set = board.declareSet(governorSet(3, 4));
        bytes memory key = groupKey(GOVERNOR_SECRET);
        uint64 ceremony = ceremonyOf(set, 2, GOVERNOR_SECRET);
        bytes memory signature = keySignature(GOVERNOR_SECRET, keyDigest(1, ceremony, set, key));
        bytes memory data = abi.encodeCall(board.registerFirstKey, (ceremony, key, signature));
        assertRefused(
            STRANGER, address(board), data, IGovernorBoard.TooFewConfirmations.selector, "two confirmations of four"
        );
        assertRefused(
            governorAccount(0),
            address(board),
            abi.encodeCall(board.confirmKey, (ceremony, key)),
            IGovernorBoard.PostedBefore.selector,
            "one twice"
        );
        assertRefused(
            STRANGER,
            address(board),
            abi.encodeCall(board.confirmKey, (ceremony, key)),
            IGovernorBoard.NotAGovernor.selector,
            "stranger"
        );
        assertRefused(
            governorAccount(2),
            address(board),
            abi.encodeCall(board.confirmKey, (ceremony, hex"02")),
            IGovernorBoard.MalformedKey.selector,
            "no key"
        );
        vm.prank(governorAccount(2));
        board.confirmKey(ceremony, key);
        assertEq(board.confirmationsOf(ceremony, key), 3, "confirmations");
        assertEq(board.keyDigest(1, ceremony, key), keyDigest(1, ceremony, set, key), "digest");
        bytes memory wrong = keySignature(GOVERNOR_SECRET, keyDigest(2, ceremony, set, key));
        assertRefused(
            STRANGER,
            address(board),
            abi.encodeCall(board.registerFirstKey, (ceremony, key, wrong)),
            IGovernorBoard.WrongKeySignature.selector,
            "signature for another epoch"
        );
        bytes memory foreign = groupKey(NEXT_SECRET);
        assertRefused(
            STRANGER,
            address(board),
            abi.encodeCall(board.registerFirstKey, (ceremony, foreign, signature)),
            IGovernorBoard.TooFewConfirmations.selector,
            "a key that nobody has confirmed"
        );
        assertTrue(!board.isSignedByGovernors(bytes32(0), signature), "no key, no signature");
        assertRefused(STRANGER, address(board), data, 0, "by anybody");
        (bytes memory current, uint32 epoch) = board.governorKey();
        assertTrue(epoch == 1, "epoch");
        assertEq(current, key, "key");
        assertEq(vm.load(address(board), bytes32(0)), bytes32(uint256(1)), "base 0: epoch");
        assertEq(
            vm.load(address(board), keccak256(abi.encode(uint256(1), uint256(1)))), keccak256(key), "base 1: key hash"
        );
        assertRefused(
            STRANGER, address(board), data, IGovernorBoard.KeyRegisteredBefore.selector, "set once, called again"
        );
    }

    function testRotateNeedsTheOldKeyAndTheNewOne() public {
        setUpGovernors();
        vm.prank(governorAccount(0));
        bytes32 set = board.declareSet(governorSet(2, 2));
        uint64 ceremony = ceremonyOf(set, 2, NEXT_SECRET);
        bytes memory key = groupKey(NEXT_SECRET);
        bytes memory own = keySignature(NEXT_SECRET, keyDigest(2, ceremony, set, key));
        bytes memory body = abi.encodePacked(ceremony, key, own);

        // Signed by the new key alone: it is not the governors' yet.
        governorSecret = NEXT_SECRET;
        bytes memory message = governorMessage(board, 0, 13, 1, body);
        assertRefused(
            STRANGER,
            address(board),
            abi.encodeCall(board.governor, (message)),
            IGoverned.WrongGovernorSignature.selector,
            "by the new key"
        );
        governorSecret = GOVERNOR_SECRET;
        bytes memory forged =
            abi.encodePacked(ceremony, key, keySignature(GOVERNOR_SECRET, keyDigest(2, ceremony, set, key)));
        assertReason(tryGovern(board, 0, 13, forged), IGovernorBoard.WrongKeySignature.selector, "by the old key alone");
        assertReason(tryGovern(board, 1, 13, body), IGoverned.MalformedBody.selector, "with a domain");
        govern(board, 0, 13, body);
        assertEq(board.keyEpoch(), 2, "epoch");
        assertEq(board.currentSet(), set, "set");
        // Shares of the old key count for nothing from now on.
        message = governorMessage(board, 0, 1, 3, "");
        assertRefused(
            STRANGER,
            address(board),
            abi.encodeCall(board.governor, (message)),
            IGoverned.WrongGovernorSignature.selector,
            "by the old key"
        );
        assertRefused(
            governorAccount(3),
            address(board),
            abi.encodeCall(board.openCeremony, (2, set, bytes32(0), 2, 10)),
            IGovernorBoard.NotAGovernor.selector,
            "who has left"
        );
        governorSecret = NEXT_SECRET;
        govern(board, 0, 1, "");
    }

    function testResharingChangesTheSetAndKeepsTheKey() public {
        setUpGovernors();
        vm.prank(governorAccount(0));
        bytes32 set = board.declareSet(governorSet(4, 5));
        vm.prank(governorAccount(0));
        uint64 ceremony = board.openCeremony(4, set, bytes32(0), 5, 10);
        assertRefused(
            governorAccount(0),
            address(board),
            abi.encodeCall(board.confirmKey, (ceremony, groupKey(NEXT_SECRET))),
            IGovernorBoard.MalformedKey.selector,
            "another key"
        );
        for (uint256 i = 0; i < 4; i++) {
            assertReason(
                tryGovern(board, 0, 14, abi.encodePacked(ceremony)),
                IGovernorBoard.TooFewConfirmations.selector,
                "too few"
            );
            vm.prank(governorAccount(i));
            board.confirmKey(ceremony, groupKey(GOVERNOR_SECRET));
        }
        govern(board, 0, 14, abi.encodePacked(ceremony));
        assertEq(board.currentSet(), set, "set");
        assertEq(board.keyEpoch(), 1, "epoch");
        bytes memory rotate =
            abi.encodePacked(ceremony, groupKey(GOVERNOR_SECRET), keySignature(GOVERNOR_SECRET, bytes32(0)));
        assertReason(tryGovern(board, 0, 13, rotate), IGovernorBoard.MalformedCeremony.selector, "no new key");
    }

    // ------------------------------------------------------------------------------------------------------------ messages

    function testEverySingleBitOfAMessageCounts() public {
        setUpGovernors();
        bytes memory message = governorMessage(market, 0, 2, 1, abi.encodePacked(STRANGER));
        for (uint256 bit = 0; bit < message.length * 8; bit++) {
            message[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            bytes4 error_ = refusal(STRANGER, address(market), abi.encodeCall(market.governor, (message)));
            assertTrue(error_ != 0, vm.toString(bit));
            message[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        bytes4 malformed = IGoverned.MalformedMessage.selector;
        bytes memory longer = bytes.concat(message, hex"00");
        assertRefused(STRANGER, address(market), abi.encodeCall(market.governor, (longer)), malformed, "longer");
        assertRefused(STRANGER, address(directory), abi.encodeCall(market.governor, (message)), malformed, "elsewhere");
        vm.chainId(block.chainid + 1);
        bytes memory data = abi.encodeCall(market.governor, (message));
        assertRefused(STRANGER, address(market), data, IGoverned.WrongGovernorSignature.selector, "on another chain");
        vm.chainId(block.chainid - 1);
        assertEq(market.operatorIdOf(STRANGER), 0, "nothing has changed");
        assertRefused(STRANGER, address(market), data, 0, "the original");
        assertRefused(STRANGER, address(market), data, IGoverned.WrongCounter.selector, "again");
    }

    function testCountersAreExactlyTheNext() public {
        setUpGovernors();
        for (uint64 counter = 0; counter < 4; counter++) {
            bytes memory data = abi.encodeCall(board.governor, (governorMessage(board, 9, 1, counter, "")));
            if (counter == 1) assertRefused(STRANGER, address(board), data, 0, "next");
            else assertRefused(STRANGER, address(board), data, IGoverned.WrongCounter.selector, vm.toString(counter));
            if (counter == 0) {
                data = abi.encodeCall(board.governor, (governorMessage(board, 9, 1, 2, "")));
                assertRefused(STRANGER, address(board), data, IGoverned.WrongCounter.selector, "one left out");
            }
            if (counter == 1) counter = 2;
        }
        assertEq(board.counterOf(9), 1, "counter");
        assertEq(board.counterOf(0), 0, "another domain");
    }

    function testWhatFailsUsesUpItsNumberAndNothingElse() public {
        setUpGovernors();
        assertReason(tryGovern(market, 0, 1, hex"00"), IGoverned.MalformedBody.selector, "no-op with a body");
        assertReason(tryGovern(market, 0, 99, ""), IGoverned.MalformedBody.selector, "unknown kind");
        assertReason(tryGovern(market, 0, 2, ""), IGoverned.MalformedBody.selector, "short body");
        assertReason(
            tryGovern(market, 3, 2, abi.encodePacked(STRANGER)), IGoverned.MalformedBody.selector, "with a domain"
        );
        govern(market, 0, 1, "");
        assertEq(market.counterOf(0), 4, "counter");
        (uint32 operators,) = market.counts();
        assertEq(operators, 0, "operators");
    }

    /// Too little gas must not make a message fail: it reverts and can be carried again.
    function testNoAmountOfGasUsesUpAMessage() public {
        setUpGovernors();
        bytes memory message = governorMessage(market, 0, 2, 1, abi.encodePacked(STRANGER));
        bool done;
        for (uint256 gas_ = 20_000; gas_ < 400_000 && !done; gas_ += 3000) {
            (bool success,) = address(market).call{gas: gas_}(abi.encodeCall(market.governor, (message)));
            if (!success) {
                assertEq(market.counterOf(0), 0, "a revert uses up nothing");
                continue;
            }
            done = true;
            assertEq(market.operatorIdOf(STRANGER), 1, "taken, but not executed");
        }
        assertTrue(done, "never taken");
    }

    function testOnlyTheContractItselfExecutes() public {
        setUpGovernors();
        bytes memory data = abi.encodeCall(market.executeGovernorMessage, (0, 2, abi.encodePacked(STRANGER)));
        address[4] memory targets = [address(board), address(market), address(registry), address(directory)];
        for (uint256 i = 0; i < targets.length; i++) {
            assertRefused(STRANGER, targets[i], data, IGoverned.OnlySelf.selector, vm.toString(i));
        }
    }

    // ------------------------------------------------------------------------------------------------------------ complaints

    function _commitments(uint256[3] memory coefficients) private returns (bytes memory commitments) {
        for (uint256 i = 0; i < coefficients.length; i++) {
            Vm.Wallet memory point = vm.createWallet(coefficients[i]);
            commitments = abi.encodePacked(commitments, point.publicKeyX, point.publicKeyY);
        }
    }

    function testARevealedShareIsJudgedByItsCommitments(uint8 member, uint128 a, uint128 b, uint128 c) public {
        vm.assume(member != 0 && a != 0 && b != 0 && c != 0);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        uint256 share = addmod(a, mulmod(member, addmod(b, mulmod(member, c, order), order), order), order);
        bytes memory commitments = _commitments([uint256(a), b, c]);
        assertTrue(board.checkShare(commitments, member, share), "the right share");
        assertTrue(!board.checkShare(commitments, member, share + 1), "another share");
        assertTrue(!board.checkShare(commitments, member == 255 ? 254 : member + 1, share), "of another member");
    }

    function testSharesAtTheEdges() public {
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        // 5 + 1 * (n - 5): the sum is the point at infinity, and only the share 0 fits.
        Vm.Wallet memory first = vm.createWallet(5);
        Vm.Wallet memory second = vm.createWallet(order - 5);
        bytes memory opposite =
            abi.encodePacked(first.publicKeyX, first.publicKeyY, second.publicKeyX, second.publicKeyY);
        assertTrue(board.checkShare(opposite, 1, 0), "infinity");
        assertTrue(!board.checkShare(opposite, 1, 1), "not infinity");
        // 5 + 1 * 5: two equal points are doubled.
        bytes memory equal = abi.encodePacked(first.publicKeyX, first.publicKeyY, first.publicKeyX, first.publicKeyY);
        assertTrue(board.checkShare(equal, 1, 10), "doubled");
        assertTrue(!board.checkShare(equal, 1, 10 + order), "a share not below the order");
        bytes4 malformed = IGovernorBoard.MalformedCommitments.selector;
        assertRefused(STRANGER, address(board), abi.encodeCall(board.checkShare, (equal, 0, 10)), malformed, "member 0");
        assertRefused(STRANGER, address(board), abi.encodeCall(board.checkShare, ("", 1, 10)), malformed, "none");
        equal[3] ^= 0x01;
        assertRefused(STRANGER, address(board), abi.encodeCall(board.checkShare, (equal, 1, 10)), malformed, "no point");
    }

    function testDevIsWrittenDownAndAllowsOne() public {
        bytes memory one = abi.encodePacked(uint8(1), uint8(1), governorAccount(0));
        GovernorBoard small = new GovernorBoard(_setHash(one), true);
        assertTrue(small.DEV() && !board.DEV(), "dev");
        small.declareSet(one);
        GovernorBoard strict = new GovernorBoard(_setHash(one), false);
        assertRefused(
            STRANGER,
            address(strict),
            abi.encodeCall(strict.declareSet, (one)),
            IGovernorBoard.MalformedSet.selector,
            "one of one"
        );
    }
}
