// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "../interfaces/IERC7786.sol";

/// @title An example recipient of ERC-7786 messages: it keeps what arrives for anybody to read.
contract MessageBoard is IERC7786Recipient {
    /// @notice A message was kept.
    event MessagePosted(bytes32 indexed receiveId, bytes sender, bytes payload);

    /// @notice Thrown when anybody but the gateway brings a message, or value comes with it.
    error NotAccepted();

    struct Message {
        bytes sender;
        bytes payload;
    }

    /// @notice The gateway whose messages are taken.
    address public immutable GATEWAY;

    mapping(bytes32 receiveId => Message) private _messages;

    constructor(address gateway) {
        GATEWAY = gateway;
    }

    /// @inheritdoc IERC7786Recipient
    function receiveMessage(bytes32 receiveId, bytes calldata sender, bytes calldata payload)
        external
        payable
        returns (bytes4)
    {
        if (msg.sender != GATEWAY || msg.value != 0) revert NotAccepted();
        _messages[receiveId] = Message(sender, payload);
        emit MessagePosted(receiveId, sender, payload);
        return IERC7786Recipient.receiveMessage.selector;
    }

    /// @notice Sender (ERC-7930) and payload of a message; both empty if there is none.
    function messageOf(bytes32 receiveId) external view returns (bytes memory sender, bytes memory payload) {
        return (_messages[receiveId].sender, _messages[receiveId].payload);
    }
}
