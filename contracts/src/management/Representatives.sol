// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryStorage} from "./RegistryStorage.sol";
import {Signature} from "./Signature.sol";
import {TAG_REPRESENTATIVE} from "./Tags.sol";

/// @title Who speaks for a registration: a part of DomainRegistry.
abstract contract Representatives is RegistryStorage {
    function _setRepresentative(uint32 registration, address account) internal {
        Registration storage record = _registrations[registration];
        if (record.representative == address(0)) revert NoRegistration(registration);
        record.representative = account;
        record.proposed = address(0);
        ++record.epoch;
        emit RepresentativeChanged(registration, account, record.epoch);
    }

    function _closeRegistration(uint32 registration, uint64 closingHeight) internal {
        Registration storage record = _registrations[registration];
        if (record.representative == address(0) || record.closed != 0) revert NoRegistration(registration);
        record.closed = closingHeight + 1;
        emit RegistrationClosed(registration, closingHeight);
    }

    /// @dev Checks that the representative says `kind` of a request (section 5.4): by a signature, or by calling itself.
    /// @param domain As in the request: 0 for FORM.
    function _requireVoice(
        uint32 registration,
        uint32 domain,
        uint8 kind,
        bytes32 requestId,
        bytes32 decisionHash,
        bytes calldata signature
    ) internal view {
        Registration storage record = _registrations[registration];
        address account = msg.sender;
        if (signature.length != 0) {
            bytes memory place = abi.encodePacked(uint64(block.chainid), address(this));
            bytes32 digest = keccak256(
                bytes.concat(
                    abi.encodePacked(TAG_REPRESENTATIVE, domain, registration, record.epoch, kind),
                    place,
                    requestId,
                    decisionHash
                )
            );
            account = Signature.signer(digest, signature);
            if (account == address(0)) revert MalformedSignature();
        }
        if (account != record.representative) revert NotTheRepresentative(registration, account);
    }
}
