// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PacketHeader} from "./PacketHeader.sol";

/// @title The registries of the layers: which protocols this hub runs. All are built in.
/// @notice The registry of the application layer is filled by governor messages, see `HubStorage._applications`.
library Protocols {
    uint8 internal constant LAYER_TRANSPORT = 1;
    uint8 internal constant LAYER_VERIFICATION = 2;
    uint8 internal constant LAYER_TRANSACTION = 3;
    uint8 internal constant LAYER_APPLICATION = 4;

    // Methods of endorsement, section 8.
    uint256 internal constant ENDORSED_BY_SIGNATURES = 1;
    uint256 internal constant ENDORSED_BY_COMMIT = 2;
    uint256 internal constant ENDORSED_BY_THRESHOLD_KEY = 3;

    // A bit for each protocol number.
    uint256 private constant TRANSPORT = (1 << PacketHeader.TRANSPORT_BASIC) | (1 << PacketHeader.TRANSPORT_RELIABLE);
    uint256 private constant VERIFICATION =
        (1 << ENDORSED_BY_SIGNATURES) | (1 << ENDORSED_BY_COMMIT) | (1 << ENDORSED_BY_THRESHOLD_KEY);
    uint256 private constant TRANSACTION =
        (1 << PacketHeader.PROTOCOL_NONE) | (1 << PacketHeader.PROTOCOL_ATP) | (1 << PacketHeader.PROTOCOL_FORWARD);

    function isTransport(uint256 protocol) internal pure returns (bool) {
        return protocol < 256 && (TRANSPORT >> protocol) & 1 == 1;
    }

    function isVerification(uint256 method) internal pure returns (bool) {
        return method < 256 && (VERIFICATION >> method) & 1 == 1;
    }

    function isTransaction(uint256 protocol) internal pure returns (bool) {
        return protocol < 256 && (TRANSACTION >> protocol) & 1 == 1;
    }
}
