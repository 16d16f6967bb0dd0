// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Frost} from "../../src/crypto/Frost.sol";
import {FrostSigner} from "./FrostSigner.sol";

contract FrostHarness {
    function verify(uint256 x, uint8 prefix, bytes memory message, bytes memory signature)
        external
        view
        returns (bool)
    {
        return Frost.verify(x, prefix, message, signature);
    }

    function decodeKey(bytes memory key) external view returns (bool valid) {
        (valid,,) = Frost.decodeKey(key);
    }

    function gasOf(uint256 x, uint8 prefix, bytes memory message, bytes memory signature)
        external
        view
        returns (uint256)
    {
        uint256 before = gasleft();
        bool valid = Frost.verify(x, prefix, message, signature);
        uint256 used = before - gasleft();
        require(valid, "signature refused");
        return used;
    }
}

contract FrostTest is FrostSigner {
    uint256 private constant FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;

    FrostHarness private _frost;

    function setUp() public {
        _frost = new FrostHarness();
    }

    function testRfc9591Vector() public view {
        string memory json = vm.readFile("../tests/vectors/frost_secp256k1_sha256.json");
        bytes memory key = vm.parseJsonBytes(json, ".group_public_key");
        bytes memory message = vm.parseJsonBytes(json, ".message");
        bytes memory signature = vm.parseJsonBytes(json, ".signature");
        assertTrue(_frost.verify(_x(key), uint8(key[0]), message, signature), "RFC 9591 signature");
        message[0] ^= 0x01;
        assertTrue(!_frost.verify(_x(key), uint8(key[0]), message, signature), "another message");
    }

    /// The cases that the Python verifier is held to, valid and malformed.
    function testSharedVectors() public view {
        string memory json = vm.readFile("../tests/vectors/frost_verification.json");
        uint256 accepted;
        uint256 refused;
        for (uint256 i = 0; vm.keyExistsJson(json, string.concat(".cases[", vm.toString(i), "]")); i++) {
            string memory path = string.concat(".cases[", vm.toString(i), "]");
            bytes memory key = vm.parseJsonBytes(json, string.concat(path, ".public_key"));
            bytes memory message;
            if (bytes(vm.parseJsonString(json, string.concat(path, ".message"))).length != 0) {
                message = vm.parseJsonBytes(json, string.concat(path, ".message"));
            }
            bytes memory signature = vm.parseJsonBytes(json, string.concat(path, ".signature"));
            bool valid = _frost.decodeKey(key) && _frost.verify(_x(key), uint8(key[0]), message, signature);
            assertTrue(
                valid == vm.parseJsonBool(json, string.concat(path, ".valid")),
                vm.parseJsonString(json, string.concat(path, ".name"))
            );
            if (valid) accepted++;
            else refused++;
        }
        assertTrue(accepted > 0 && refused > 0, "no vectors");
    }

    function testFuzzOwnSignaturesVerify(uint256 secret, uint256 nonce, bytes memory message) public {
        secret = 1 + secret % (Frost.N - 1);
        nonce = 1 + nonce % (Frost.N - 1);
        (uint256 x, uint8 prefix) = frostKey(secret);
        bytes memory signature = frostSign(secret, nonce, message);
        // Keys whose abscissa is not below the group order (one in 2^128) cannot be used; see Frost.verify.
        vm.assume(x < Frost.N);
        assertTrue(_frost.verify(x, prefix, message, signature), "valid signature refused");
        assertTrue(!_frost.verify(x, prefix ^ 1, message, signature), "negated key accepted");
        assertTrue(!_frost.verify(x, prefix, abi.encodePacked(message, hex"00"), signature), "longer message accepted");
    }

    function testEveryBitOfSignatureAndMessageCounts() public {
        bytes memory message = abi.encodePacked(keccak256("message"));
        (uint256 x, uint8 prefix) = frostKey(7);
        bytes memory signature = frostSign(7, 11, message);
        for (uint256 bit = 0; bit < signature.length * 8; bit++) {
            signature[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            assertTrue(!_frost.verify(x, prefix, message, signature), "signature with a flipped bit accepted");
            signature[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        for (uint256 bit = 0; bit < message.length * 8; bit++) {
            message[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            assertTrue(!_frost.verify(x, prefix, message, signature), "message with a flipped bit accepted");
            message[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        for (uint256 bit = 0; bit < 256; bit++) {
            assertTrue(!_frost.verify(x ^ (1 << bit), prefix, message, signature), "another key accepted");
        }
        for (uint256 other = 0; other < 256; other++) {
            assertTrue(_frost.verify(x, uint8(other), message, signature) == (other == prefix), "key prefix");
        }
        assertTrue(_frost.verify(x, prefix, message, signature), "the original does not verify");
    }

    function testOtherEncodingsRefused() public {
        bytes memory message = "m";
        (uint256 x, uint8 prefix) = frostKey(3);
        bytes memory signature = frostSign(3, 5, message);
        assertTrue(_frost.verify(x, prefix, message, signature), "valid signature refused");
        assertTrue(!_frost.verify(x, prefix, message, abi.encodePacked(signature, hex"00")), "trailing byte");
        bytes memory shorter = new bytes(64);
        for (uint256 i = 0; i < 64; i++) {
            shorter[i] = signature[i];
        }
        assertTrue(!_frost.verify(x, prefix, message, shorter), "byte missing");
        assertTrue(!_frost.verify(x, prefix, message, ""), "empty signature");
        // That z is below the order cannot be tested by a signature: one with a z so small that z + order fits 256 bits costs 2^127 tries.
    }

    function testZeroKeyAndZeroSignatureRefused() public {
        (uint256 x, uint8 prefix) = frostKey(9);
        bytes memory signature = frostSign(9, 13, "m");
        assertTrue(!_frost.verify(0, 2, "m", signature), "key slot zero");
        assertTrue(!_frost.verify(0, 0, "m", new bytes(65)), "everything zero");
        assertTrue(!_frost.verify(x, prefix, "m", new bytes(65)), "signature of zeros");
        assertTrue(!_frost.verify(type(uint256).max, prefix, "m", signature), "key beyond the order");
    }

    function testCommitmentOffTheCurveRefused() public {
        (uint256 x, uint8 prefix) = frostKey(9);
        // 5 is no abscissa of secp256k1: 5^3 + 7 = 132 is no square. 0 is none either.
        assertTrue(!_frost.verify(x, prefix, "m", abi.encodePacked(uint8(2), uint256(5), uint256(1))), "abscissa 5");
        assertTrue(!_frost.verify(x, prefix, "m", abi.encodePacked(uint8(2), uint256(0), uint256(1))), "abscissa 0");
        assertTrue(!_frost.verify(x, prefix, "m", abi.encodePacked(uint8(2), FIELD + 1, uint256(1))), "abscissa 1 + p");
    }

    function testGas() public {
        bytes memory message = abi.encodePacked(keccak256("message"));
        (uint256 x, uint8 prefix) = frostKey(7);
        uint256 used = _frost.gasOf(x, prefix, message, frostSign(7, 11, message));
        assertTrue(used < 7500, string.concat("verification costs ", vm.toString(used)));
    }

    function _x(bytes memory compressed) private pure returns (uint256 x) {
        require(compressed.length == 33, "compressed point");
        assembly {
            x := mload(add(compressed, 0x21))
        }
    }
}
