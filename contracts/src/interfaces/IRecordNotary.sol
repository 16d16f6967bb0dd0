// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Records, each written once on a chain by whoever comes first, from whichever chain of the domain.
interface IRecordNotary {
    /// @notice A record arrived. `existing`: the key was taken before, and what was stored then stays.
    event RecordNotarised(bytes32 indexed packetId, bytes32 indexed key, bytes32 value, uint32 source, bool existing);
    /// @notice The receipt of a record that was sent from here came home. `returned`: existing u8, stored value, source registration u32, time u64.
    event NotarisationConfirmed(bytes32 indexed packetId, uint8 code, bytes returned);

    /// @notice Writes a record on another chain.
    /// @param execExpiry Unix seconds, destination's clock; 0 for no expiry.
    function notarise(uint32 domain, uint32 destination, bytes32 key, bytes32 value, uint40 execExpiry)
        external
        returns (bytes32 packetId);

    /// @notice The record of a key; time 0 means that there is none.
    function recordOf(bytes32 key) external view returns (bytes32 value, uint32 source, uint64 time);
}
