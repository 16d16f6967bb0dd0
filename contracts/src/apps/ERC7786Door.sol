// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource, IERC7786Recipient} from "../interfaces/IERC7786.sol";
import {IHub} from "../interfaces/IHub.sol";
import {BridgeApplication} from "./BridgeApplication.sol";
import {Headers} from "./Headers.sol";
import {InteroperableAddress} from "./InteroperableAddress.sol";

/// @title Application 1, the ERC-7786 door: contracts that know the standard and nothing of PieBridge send and receive messages through it.
/// @notice Body: length u16 and sender, length u16 and recipient, payload. The door writes the sender from `msg.sender`, so a recipient can trust it as far
/// as it trusts the domain. Messages are plain packets of a free lane: at most once, in any order.
contract ERC7786Door is IERC7786GatewaySource, BridgeApplication {
    /// @notice Thrown when value comes with a message: none is carried.
    error ValueNotCarried();
    /// @notice Thrown when no member of the domain has the recipient's chain id.
    error UnknownChain(uint256 chainId);
    /// @notice Thrown when a message arrived for an account of another chain, or one that is no recipient.
    error InvalidRecipient(bytes recipient);
    /// @notice Thrown when a message claims to come from an account of another chain than the one whose hub has sent it.
    error InvalidSender(bytes sender);
    /// @notice Thrown when an attribute is not the one encoding of its value, or comes twice.
    error InvalidAttribute(bytes attribute);

    uint32 private constant FUNCTION_MESSAGE = 1;
    uint32 private constant DEFAULT_GAS = 200_000;

    bytes4 private constant ATTRIBUTE_DOMAIN = bytes4(keccak256("domain(uint32)"));
    bytes4 private constant ATTRIBUTE_GAS_LIMIT = bytes4(keccak256("gasLimit(uint32)"));
    bytes4 private constant ATTRIBUTE_EXECUTION_EXPIRY = bytes4(keccak256("executionExpiry(uint40)"));

    /// @notice The domain of messages that name none.
    uint32 public immutable DEFAULT_DOMAIN;

    constructor(IHub hub, uint32 defaultDomain) BridgeApplication(hub) {
        DEFAULT_DOMAIN = defaultDomain;
    }

    /// @inheritdoc IERC7786GatewaySource
    function supportsAttribute(bytes4 selector) public pure returns (bool) {
        return selector == ATTRIBUTE_DOMAIN || selector == ATTRIBUTE_GAS_LIMIT || selector == ATTRIBUTE_EXECUTION_EXPIRY;
    }

    /// @inheritdoc IERC7786GatewaySource
    function sendMessage(bytes calldata recipient, bytes calldata payload, bytes[] calldata attributes)
        external
        payable
        returns (bytes32 sendId)
    {
        if (msg.value != 0) revert ValueNotCarried();
        (uint32 domain, uint32 gasLimit, uint40 execExpiry) = _readAttributes(attributes);
        (uint256 chainId,) = InteroperableAddress.decode(recipient);
        uint32 destination = chainId > type(uint64).max ? 0 : HUB.registrationOfChain(domain, uint64(chainId));
        if (destination == 0) revert UnknownChain(chainId);
        bytes memory sender = InteroperableAddress.encode(block.chainid, msg.sender);
        sendId = HUB.send(
            Headers.transport(domain, destination, 0, 0, 0),
            bytes8(0),
            Headers.transaction(Headers.NONE, 0, 0, execExpiry, gasLimit),
            Headers.application(FUNCTION_MESSAGE, 0),
            keccak256(sender),
            // Each length stands in front of what it measures, so no two messages have one body.
            bytes.concat(
                abi.encodePacked(uint16(sender.length), sender),
                abi.encodePacked(uint16(recipient.length), recipient),
                payload
            )
        );
        emit MessageSent(sendId, sender, recipient, payload, 0, attributes);
    }

    function _readAttributes(bytes[] calldata attributes)
        private
        view
        returns (uint32 domain, uint32 gasLimit, uint40 execExpiry)
    {
        (domain, gasLimit) = (DEFAULT_DOMAIN, DEFAULT_GAS);
        uint256 given;
        for (uint256 i = 0; i < attributes.length; ++i) {
            bytes calldata attribute = attributes[i];
            bytes4 selector = attribute.length < 4 ? bytes4(0) : bytes4(attribute);
            if (!supportsAttribute(selector)) revert UnsupportedAttribute(selector);
            if (attribute.length != 36) revert InvalidAttribute(attribute);
            uint256 value = uint256(bytes32(attribute[4:]));
            uint256 bit = selector == ATTRIBUTE_DOMAIN ? 1 : selector == ATTRIBUTE_GAS_LIMIT ? 2 : 4;
            uint256 largest = bit == 4 ? type(uint40).max : type(uint32).max;
            if (given & bit != 0 || value > largest) revert InvalidAttribute(attribute);
            given |= bit;
            if (bit == 1) domain = uint32(value);
            else if (bit == 2) gasLimit = uint32(value);
            else execExpiry = uint40(value);
        }
    }

    /// @dev Hands a message to its recipient. A refusal reverts, which makes the packet FAILED.
    function _onPacket(bytes32 packetId, bytes calldata packet) internal override returns (bytes memory) {
        if (Headers.functionOf(packet) != FUNCTION_MESSAGE) revert NotUnderstood();
        (bytes calldata sender, bytes calldata rest) = _cut(Headers.bodyOf(packet));
        (bytes calldata recipient, bytes calldata payload) = _cut(rest);
        (uint256 chainId, address account) = InteroperableAddress.decode(recipient);
        // The body is what the source's hub says, and a member may be hostile: it speaks for the accounts of its own chain and for no others. The
        // recipient cannot check it, for it is shown nothing but this sender.
        (uint256 senderChain,) = InteroperableAddress.decode(sender);
        (, uint64 sourceChain,) = HUB.peerOf(Headers.domainOf(packet), Headers.sourceOf(packet));
        if (senderChain != sourceChain) revert InvalidSender(sender);
        bool reachable =
            chainId == block.chainid && account.code.length != 0 && account != address(HUB) && account != address(this);
        if (!reachable) revert InvalidRecipient(recipient);
        bytes4 answer = IERC7786Recipient(account).receiveMessage(packetId, sender, payload);
        if (answer != IERC7786Recipient.receiveMessage.selector) revert InvalidRecipient(recipient);
        return "";
    }

    /// @dev Takes a part with its length (u16) in front off `data`.
    function _cut(bytes calldata data) private pure returns (bytes calldata part, bytes calldata rest) {
        if (data.length < 2) revert NotUnderstood();
        uint256 end = 2 + uint256(uint16(bytes2(data[:2])));
        if (data.length < end) revert NotUnderstood();
        return (data[2:end], data[end:]);
    }
}
