// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryStorage} from "./RegistryStorage.sol";
import {Signature} from "./Signature.sol";
import {TAG_REPRESENTATIVE} from "./Tags.sol";
import {IDomainRegistry} from "./interfaces/IDomainRegistry.sol";

/// @title Numbers of hubs, and who speaks for them: a part of DomainRegistry.
abstract contract Registrations is RegistryStorage {
    /// @inheritdoc IDomainRegistry
    function register() external returns (uint32 registration) {
        registration = ++_lastRegistration;
        _registrations[registration].representative = msg.sender;
        _registrations[registration].epoch = 1;
        emit Registered(registration, msg.sender);
    }

    /// @inheritdoc IDomainRegistry
    function bindHub(uint32 registration, uint64 evmChainId, address hub) external {
        Registration storage record = _requireRepresentative(registration);
        if (record.hub != address(0) || hub == address(0)) revert WrongHub(registration);
        record.hub = hub;
        record.evmChainId = evmChainId;
        emit HubBound(registration, evmChainId, hub);
    }

    /// @inheritdoc IDomainRegistry
    function proposeRepresentative(uint32 registration, address account) external {
        _requireRepresentative(registration).proposed = account;
        emit RepresentativeProposed(registration, account);
    }

    /// @inheritdoc IDomainRegistry
    function acceptRepresentative(uint32 registration) external {
        if (_registrations[registration].proposed != msg.sender) revert NotTheRepresentative(registration, msg.sender);
        _setRepresentative(registration, msg.sender);
    }

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

    function _requireRepresentative(uint32 registration) private view returns (Registration storage record) {
        record = _registrations[registration];
        if (record.representative == address(0) || record.closed != 0) revert NoRegistration(registration);
        if (record.representative != msg.sender) revert NotTheRepresentative(registration, msg.sender);
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
