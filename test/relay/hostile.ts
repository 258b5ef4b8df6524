/**
 * A local user who waits for the sidecar to die: `hostile.ts ADDRESS RELAY_PORT ENROLLMENT_PORT`.
 * Binds what it can, ends every agent's handshake, and prints what agents hand over.
 */
import { createServer } from 'node:net';
import { endWithInput, report } from '../fakes/life-line.ts';

const [address, relayPort, enrollmentPort] = process.argv.slice(2);
endWithInput(() => process.exit(0));

function wait(name: string, port: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes: Buffer) => {
        report({ event: 'heard', on: name, bytes: bytes.length });
        socket.destroy();
      });
    });
    server.once('error', (error) => {
      report({ event: 'bind_failed', on: name, why: error.message.split(':')[0] });
      resolve();
    });
    server.listen(Number(port), address, resolve);
  });
}

await Promise.all([wait('relay', relayPort), wait('enrollment', enrollmentPort)]);
report({ event: 'mode' });
