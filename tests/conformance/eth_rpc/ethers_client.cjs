// Deploys Probe, sends, reads, catches reverts and listens with ethers v6. Prints one JSON object.
// Usage: node ethers_client.cjs <http url> <private key> <probe.json>
const fs = require('fs');
const { ethers } = require('ethers');

async function main([url, key, probeFile]) {
  const probe = JSON.parse(fs.readFileSync(probeFile));
  // No cache: ethers answers the same question from memory for 250 ms, longer than a block takes in tests.
  const provider = new ethers.JsonRpcProvider(url, undefined, { cacheTimeout: -1 });
  provider.pollingInterval = 50;
  const wallet = new ethers.Wallet(key, provider);
  const contract = await new ethers.ContractFactory(probe.abi, probe.bytecode, wallet).deploy(7);
  await contract.waitForDeployment();
  const result = { deployed: Number(await contract.number()) };
  const receipt = await (await contract.set(42, '0x1234')).wait();
  result.status = receipt.status;
  result.number = Number(await contract.number());
  result.events = (await contract.queryFilter('Changed', receipt.blockNumber)).map((event) => Number(event.args.value));
  result.reason = await contract.refuseWithText().then(() => null, (error) => error.reason);
  result.custom = await contract.refuseWithError.staticCall(5).then(() => null, (error) => error.revert.name);
  const block = await provider.getBlock('latest', true);
  result.prefetched = block.prefetchedTransactions.length;
  result.pendingIsNext = (await provider.getBlock('pending')).number === block.number + 1;
  result.fees = (await provider.getFeeData()).maxFeePerGas > 0n;
  const socket = new ethers.WebSocketProvider(url.replace('http', 'ws'));
  const seen = new Promise((resolve) => socket.on('block', resolve));
  await socket.getBlockNumber();
  const transfer = await (await wallet.sendTransaction({ to: wallet.address, value: 1 })).wait();
  result.heard = (await seen) <= transfer.blockNumber;
  await socket.destroy();
  provider.destroy();
  console.log(JSON.stringify(result));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
