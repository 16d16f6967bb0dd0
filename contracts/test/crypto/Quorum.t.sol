// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../../src/crypto/Quorum.sol";
import {Test} from "../Test.sol";

contract QuorumHarness {
    function verify(
        bytes32 digest,
        bytes calldata members,
        uint256 threshold,
        uint256 bitmap,
        bytes calldata signatures
    ) external view returns (bool) {
        return Quorum.verify(digest, members, threshold, bitmap, signatures);
    }

    function gasOf(bytes32 digest, bytes calldata members, uint256 threshold, uint256 bitmap, bytes calldata signatures)
        external
        view
        returns (uint256)
    {
        uint256 before = gasleft();
        bool valid = Quorum.verify(digest, members, threshold, bitmap, signatures);
        uint256 used = before - gasleft();
        require(valid, "quorum refused");
        return used;
    }
}

contract QuorumTest is Test {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    bytes32 private constant DIGEST = keccak256("digest");

    QuorumHarness private _quorum;

    function setUp() public {
        _quorum = new QuorumHarness();
    }

    /// Every threshold and every set of signers for up to eight members: valid exactly when the number of signers is the threshold.
    function testEverySubsetUpToEightMembers() public view {
        bytes[] memory signatures = new bytes[](8);
        for (uint256 i = 0; i < 8; i++) {
            signatures[i] = _sign(i + 1, DIGEST);
        }
        uint256 accepted;
        for (uint256 n = 1; n <= 8; n++) {
            bytes memory members = _members(n);
            for (uint256 bitmap = 0; bitmap < 1 << n; bitmap++) {
                bytes memory chosen;
                uint256 signers;
                for (uint256 i = 0; i < n; i++) {
                    if ((bitmap >> i) & 1 == 1) {
                        chosen = abi.encodePacked(chosen, signatures[i]);
                        signers++;
                    }
                }
                for (uint256 threshold = 0; threshold <= n + 1; threshold++) {
                    bool valid = _quorum.verify(DIGEST, members, threshold, bitmap, chosen);
                    assertTrue(valid == (threshold == signers && signers > 0), "quorum decided wrongly");
                    if (valid) accepted++;
                }
            }
        }
        assertEq(accepted, 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 - 8, "number of accepted choices");
    }

    function testSignaturesMustFollowTheOrderOfTheBitmap() public view {
        bytes memory members = _members(4);
        bytes memory first = _sign(1, DIGEST);
        bytes memory second = _sign(2, DIGEST);
        bytes memory third = _sign(3, DIGEST);
        assertTrue(
            _quorum.verify(DIGEST, members, 3, 7, abi.encodePacked(first, second, third)), "valid quorum refused"
        );
        assertTrue(!_quorum.verify(DIGEST, members, 3, 7, abi.encodePacked(second, first, third)), "other order");
        assertTrue(!_quorum.verify(DIGEST, members, 3, 7, abi.encodePacked(first, first, third)), "one signer twice");
        assertTrue(
            !_quorum.verify(DIGEST, members, 3, 11, abi.encodePacked(first, second, third)), "other signers named"
        );
        assertTrue(
            !_quorum.verify(DIGEST, members, 3, 7 | 16, abi.encodePacked(first, second, third)),
            "bit beyond the members"
        );
        assertTrue(
            !_quorum.verify(DIGEST, members, 3, 7 | (1 << 255), abi.encodePacked(first, second, third)), "highest bit"
        );
        assertTrue(!_quorum.verify(DIGEST, members, 3, 3, abi.encodePacked(first, second, third)), "signature too many");
        assertTrue(!_quorum.verify(DIGEST, members, 3, 15, abi.encodePacked(first, second, third)), "signature too few");
        assertTrue(
            !_quorum.verify(DIGEST, members, 3, 7, abi.encodePacked(first, second, third, hex"00")), "trailing byte"
        );
        assertTrue(
            !_quorum.verify(DIGEST, members, 2, 7, abi.encodePacked(first, second, third)), "more than the threshold"
        );
    }

    function testSecondFormOfASignatureRefused() public view {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(1, DIGEST);
        bytes memory members = _members(1);
        assertTrue(_quorum.verify(DIGEST, members, 1, 1, abi.encodePacked(r, s, v)), "valid signature refused");
        bytes32 highS = bytes32(ORDER - uint256(s));
        uint8 otherV = v == 27 ? 28 : 27;
        // ecrecover itself takes the second form for the same signer.
        assertEq(ecrecover(DIGEST, otherV, r, highS), vm.addr(1), "second form");
        assertTrue(!_quorum.verify(DIGEST, members, 1, 1, abi.encodePacked(r, highS, otherV)), "high s accepted");
        for (uint256 other = 0; other < 256; other++) {
            bool valid = _quorum.verify(DIGEST, members, 1, 1, abi.encodePacked(r, s, uint8(other)));
            assertTrue(valid == (other == v), "v outside 27 and 28, or the wrong one");
        }
    }

    function testEveryBitOfDigestMembersAndSignaturesCounts() public view {
        bytes memory members = _members(2);
        bytes memory signatures = abi.encodePacked(_sign(1, DIGEST), _sign(2, DIGEST));
        for (uint256 bit = 0; bit < 256; bit++) {
            assertTrue(!_quorum.verify(DIGEST ^ bytes32(1 << bit), members, 2, 3, signatures), "other digest");
        }
        for (uint256 bit = 0; bit < members.length * 8; bit++) {
            members[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            assertTrue(!_quorum.verify(DIGEST, members, 2, 3, signatures), "other member");
            members[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        for (uint256 bit = 0; bit < signatures.length * 8; bit++) {
            signatures[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            assertTrue(!_quorum.verify(DIGEST, members, 2, 3, signatures), "other signature");
            signatures[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        assertTrue(_quorum.verify(DIGEST, members, 2, 3, signatures), "the original does not verify");
    }

    /// A signature that recovers nothing must not stand for a member that is zero, nor repeat the signer before it.
    function testZeroAddressNeverSigns() public view {
        bytes memory garbage = abi.encodePacked(bytes32(0), bytes32(0), uint8(27));
        assertTrue(!_quorum.verify(DIGEST, new bytes(20), 1, 1, garbage), "zero member");
        bytes memory twice = abi.encodePacked(vm.addr(1), vm.addr(1));
        assertTrue(
            !_quorum.verify(DIGEST, twice, 2, 3, abi.encodePacked(_sign(1, DIGEST), garbage)), "last signer repeated"
        );
        assertTrue(!_quorum.verify(DIGEST, "", 0, 0, ""), "nobody of nobody");
        assertTrue(!_quorum.verify(DIGEST, _members(4), 0, 0, ""), "threshold zero");
        assertTrue(!_quorum.verify(DIGEST, new bytes(19), 1, 1, garbage), "member of 19 bytes");
        assertTrue(!_quorum.verify(DIGEST, abi.encodePacked(_members(1), hex"00"), 1, 1, _sign(1, DIGEST)), "21 bytes");
    }

    function testLargestSet() public view {
        bytes memory members = _members(256);
        bytes memory signatures = abi.encodePacked(_sign(1, DIGEST), _sign(256, DIGEST));
        assertTrue(_quorum.verify(DIGEST, members, 2, 1 | (1 << 255), signatures), "first and last of 256");
        members = _members(257);
        assertTrue(!_quorum.verify(DIGEST, members, 2, 1 | (1 << 255), signatures), "257 members");
    }

    function testGasPerSignature() public view {
        uint256 three = _quorum.gasOf(
            DIGEST, _members(7), 3, 7, abi.encodePacked(_sign(1, DIGEST), _sign(2, DIGEST), _sign(3, DIGEST))
        );
        uint256 one = _quorum.gasOf(DIGEST, _members(7), 1, 1, _sign(1, DIGEST));
        uint256 each = (three - one) / 2;
        assertTrue(each < 3500, string.concat("a signature costs ", vm.toString(each)));
    }

    function _members(uint256 n) private pure returns (bytes memory members) {
        for (uint256 i = 1; i <= n; i++) {
            members = abi.encodePacked(members, vm.addr(i));
        }
    }

    function _sign(uint256 privateKey, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, digest);
        return abi.encodePacked(r, s, v);
    }
}
