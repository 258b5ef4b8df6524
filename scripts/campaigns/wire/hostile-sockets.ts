/**
 * A process of its own that opens many hostile connections: PORT COUNT SEED. Each does one thing a
 * stranger can do before hello and then waits to be thrown out. Prints one JSON object.
 */
import { connect, type Socket } from 'node:net';
import { encodeMessage } from '../../../src/cluster/wire/message.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { Seeded } from './damage.ts';

const [port = 0, count = 0, seed = 1] = process.argv.slice(2).map(Number);
const random = new Seeded(seed);
const wrongKey = createSeal('wrongwrongwrongwrongwrongwrong00');
/** As many as one process may open at a time without hitting its own limits. */
const mostOpen = 9_000;
const addresses = 100;
const giveUpMs = 20_000;

const told = { opened: 0, failed: 0, thrownOut: 0, stillOpen: 0 };

function header(lengthBytes: number, word: string): Buffer {
  const bytes = Buffer.alloc(20, '-');
  bytes.writeUInt32BE(random.below(2 ** 31));
  bytes.writeUInt32BE(lengthBytes, 4);
  bytes.write(`${word} `, 8, 'latin1');
  return bytes;
}

function sealed(word: string, text: string): Buffer {
  const plain = Buffer.from(text);
  const token = wrongKey.seal(plain, { iv: random.bytes(16), unixSeconds: 1_700_000_000 });
  return Buffer.concat(
    encodeMessage({ counter: random.below(2 ** 31), word }, token, plain.length),
  );
}

/** Things to say; then silence. */
const behaviours: readonly ((socket: Socket) => void)[] = [
  () => undefined,
  (socket) => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
  (socket) => socket.write(header(140, 'hello').subarray(0, 13)),
  (socket) => socket.write(header(140, 'hello')),
  (socket) => socket.write(header(0xffff_ffff, 'hello')),
  (socket) => socket.write(Buffer.concat([header(60_000, 'hello'), Buffer.alloc(59_000, 0x41)])),
  (socket) => socket.write(sealed('hello', 'w wazuh worker 4.14.8')),
  (socket) => socket.write(sealed('new_file', '/queue/cluster/x.zip')),
  (socket) => socket.write(Buffer.from(random.bytes(4_096))),
  (socket) => socket.end(),
];

function connectOne(index: number): Promise<void> {
  const localAddress = `127.31.0.${(index % addresses) + 1}`;
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  return new Promise((resolve) => {
    let isOpen = false;
    socket.once('connect', () => {
      isOpen = true;
      told.opened += 1;
      behaviours[index % behaviours.length]?.(socket);
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      if (isOpen) told.thrownOut += 1;
      else told.failed += 1;
      resolve();
    });
    socket.resume();
  });
}

async function main(): Promise<void> {
  const waiting = new Set<Promise<void>>();
  for (let index = 0; index < count; index++) {
    const one = connectOne(index).finally(() => waiting.delete(one));
    waiting.add(one);
    if (waiting.size >= mostOpen) await Promise.race(waiting);
    else if (index % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
  }
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, giveUpMs).unref());
  await Promise.race([Promise.all(waiting), timeout]);
  told.stillOpen = waiting.size;
  process.stdout.write(`${JSON.stringify(told)}\n`);
  await new Promise((resolve) => process.stdin.resume().once('end', resolve));
  process.exit(0);
}

await main();
