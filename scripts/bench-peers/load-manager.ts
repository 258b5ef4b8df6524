/**
 * The far end of the relay bench: `load-manager.ts PORT`. After an optional framed ping (answered),
 * one byte says what a connection is for: `E` echo everything; `D` and eight bytes of length:
 * swallow that much, then answer with one byte.
 */
import { createServer, type Socket } from 'node:net';

const framedPing = Buffer.from('050000002370696e67', 'hex');
const framedPong = Buffer.from('0500000023706f6e67', 'hex');
const headBytes = 9;

function serve(socket: Socket): void {
  let swallowed = 0;
  let expected: number | undefined;
  socket.on('error', () => socket.destroy());
  const first = (bytes: Buffer): void => {
    if (bytes.subarray(0, 9).equals(framedPing)) {
      socket.write(framedPong);
      socket.once('data', first);
    } else if (bytes[0] === 0x45) {
      socket.write(bytes.subarray(1));
      socket.on('data', (more: Buffer) => socket.write(more));
    } else {
      expected = Number(bytes.readBigUInt64LE(1));
      swallowed = bytes.length - headBytes;
      socket.on('data', swallow);
    }
  };
  const swallow = (bytes: Buffer): void => {
    swallowed += bytes.length;
    if (expected !== undefined && swallowed >= expected) socket.write('.');
  };
  socket.once('data', first);
}

createServer({ noDelay: true }, serve).listen(Number(process.argv[2]), '127.0.0.1', () =>
  process.stdout.write('ready\n'),
);
