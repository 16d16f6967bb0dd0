// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {IGoverned} from "./interfaces/IGoverned.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";
import {TAG_GOVERNOR_MANAGEMENT} from "./Tags.sol";

/// @title The way in for the governors (docs/protocol/management.md, section 3).
abstract contract Governed is IGoverned {
    /// Length of a message besides its body: 45 in front, the signature behind.
    uint256 private constant FRAME = 110;
    uint256 private constant TARGET_MANAGEMENT = 3;
    uint8 internal constant NO_OP = 1;

    /// @inheritdoc IGoverned
    uint32 public immutable CONTRACT_NUMBER;
    /// Registry of the governor key.
    IGovernorBoard internal immutable _BOARD;

    mapping(uint32 domain => uint64) private _counters;

    constructor(uint32 number, IGovernorBoard board) {
        CONTRACT_NUMBER = number;
        _BOARD = board;
    }

    /// @inheritdoc IGoverned
    function governor(bytes calldata message) external {
        uint256 offset = Calldata.start(message);
        uint32 domain = uint32(Calldata.u32(offset + 2));
        uint8 kind = uint8(Calldata.u8(offset + 14));
        uint64 counter = uint64(Calldata.u64(offset + 35));
        bytes calldata body = _open(message, counter, domain);
        _counters[domain] = counter;
        (bool done, bytes memory reason) =
            address(this).call(abi.encodeCall(IGoverned.executeGovernorMessage, (domain, kind, body)));
        // A failure for want of gas is the carrier's doing and must not use up the message. Every failure of our own has a reason.
        if (!done && reason.length < 4) revert NotEnoughGas();
        emit GovernorMessageHandled(domain, counter, kind, done, reason);
    }

    /// @inheritdoc IGoverned
    function executeGovernorMessage(uint32 domain, uint8 kind, bytes calldata body) external {
        if (msg.sender != address(this)) revert OnlySelf();
        if (kind != NO_OP) _execute(domain, kind, body);
        else if (body.length != 0) revert MalformedBody();
    }

    /// @inheritdoc IGoverned
    function counterOf(uint32 domain) external view returns (uint64) {
        return _counters[domain];
    }

    /// @dev Executes the content of a message; what fails reverts, so that nothing is half done.
    function _execute(uint32 domain, uint8 kind, bytes calldata body) internal virtual;

    /// @dev The body of a message that is well-formed, meant for this contract, the next one and signed. Everything else reverts.
    function _open(bytes calldata message, uint64 counter, uint32 domain) private view returns (bytes calldata body) {
        uint256 offset = Calldata.start(message);
        uint256 length = Calldata.u16(offset + 43);
        bool valid = message.length >= FRAME && message.length == FRAME + length && Calldata.u8(offset) == 1
            && Calldata.u8(offset + 1) == TARGET_MANAGEMENT && Calldata.u32(offset + 6) == CONTRACT_NUMBER
            && address(uint160(Calldata.word(offset + 15) >> 96)) == address(this);
        if (!valid) revert MalformedMessage();
        if (counter != _counters[domain] + 1) revert WrongCounter(_counters[domain] + 1, counter);
        uint32 epoch = _BOARD.keyEpoch();
        if (Calldata.u32(offset + 10) != epoch) revert WrongKeyEpoch(epoch, uint32(Calldata.u32(offset + 10)));
        body = message[45:45 + length];
        // Prefix from domain to kind, chain id, then contract and counter as they lie in the message, then the body.
        bytes32 digest = keccak256(
            bytes.concat(TAG_GOVERNOR_MANAGEMENT, message[2:15], bytes8(uint64(block.chainid)), message[15:43], body)
        );
        if (!_BOARD.isSignedByGovernors(digest, message[45 + length:])) revert WrongGovernorSignature();
    }

    function _requireLength(bytes calldata body, uint256 length) internal pure {
        if (body.length != length) revert MalformedBody();
    }
}
