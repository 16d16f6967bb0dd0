// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Sending side of ERC-7786, cross-chain messaging. Addresses are interoperable addresses, ERC-7930.
interface IERC7786GatewaySource {
    /// @notice A message was taken for another chain.
    event MessageSent(
        bytes32 indexed sendId, bytes sender, bytes recipient, bytes payload, uint256 value, bytes[] attributes
    );

    /// @notice Thrown for an attribute that is not supported.
    error UnsupportedAttribute(bytes4 selector);

    /// @notice Whether an attribute, named by its selector, is supported.
    function supportsAttribute(bytes4 selector) external view returns (bool);

    /// @notice Sends a message.
    function sendMessage(bytes calldata recipient, bytes calldata payload, bytes[] calldata attributes)
        external
        payable
        returns (bytes32 sendId);
}

/// @title Receiving side of ERC-7786.
interface IERC7786Recipient {
    /// @notice Takes a message; must answer its own selector.
    function receiveMessage(bytes32 receiveId, bytes calldata sender, bytes calldata payload)
        external
        payable
        returns (bytes4);
}
