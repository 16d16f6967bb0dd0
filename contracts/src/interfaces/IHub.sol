// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubAdministration} from "./IHubAdministration.sol";
import {IHubCore} from "./IHubCore.sol";

/// @title A hub: one registration of a chain. Applications send through it; anybody may bring it endorsed ranges and governor messages.
/// @notice Formats are those of docs/protocol/formats.md, whose sections are named here. There is no owner, no proxy and no initialiser: only governor
/// messages change settings.
interface IHub is IHubCore, IHubAdministration {}
