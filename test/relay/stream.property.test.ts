/** Any bytes in any chunks, with pauses on either side, arrive identical in both directions. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { RelayWorld } from './world.ts';

/** Lengths of chunks, from single bytes to more than every buffer on the way. */
const chunks = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
    { weight: 3, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 200_000, max: 900_000 }) },
  ),
  { minLength: 1, maxLength: 12 },
);

const scenario = fc.record({
  up: chunks,
  down: chunks,
  seed: fc.integer({ min: 1, max: 255 }),
  /** Reads after which the agent, or the manager, stops for a moment. */
  agentPauses: fc.integer({ min: 0, max: 3 }),
  managerPauses: fc.integer({ min: 0, max: 3 }),
});

function bytesOf(lengths: readonly number[], seed: number): readonly Buffer[] {
  let state = seed;
  return lengths.map((length) => {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 1) {
      state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
      bytes[at] = state >> 16;
    }
    return bytes;
  });
}

function digest(chunksOf: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunksOf) hash.update(chunk);
  return hash.digest('hex');
}

/** Writes everything, respecting the socket, then ends its half. */
async function send(socket: Socket, all: readonly Buffer[]): Promise<void> {
  for (const chunk of all) {
    if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.end();
}

/** Everything until the other half ends, with some pauses. */
function receive(socket: Socket, pauses: number): Promise<string> {
  const hash = createHash('sha256');
  let left = pauses;
  return new Promise((resolve, reject) => {
    socket.on('data', (bytes: Buffer) => {
      hash.update(bytes);
      if (left-- <= 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), 3);
    });
    socket.on('end', () => resolve(hash.digest('hex')));
    socket.on('error', reject);
  });
}

test('property: any byte stream in any chunking arrives identical both ways', async () => {
  const world = new RelayWorld();
  try {
    let down: readonly Buffer[] = [];
    let pauses = 0;
    let atManager: Promise<string> | undefined;
    world.managers = [
      await world.manager('a', (socket) => {
        atManager = receive(socket, pauses);
        // Spoken only once the agent has: a manager that speaks first is none.
        socket.once('data', () => void send(socket, down));
      }),
    ];
    const { relay, port } = await world.open();
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const up = bytesOf(given.up, given.seed);
        down = bytesOf(given.down, given.seed + 1);
        pauses = given.managerPauses;
        const { socket } = world.agent(port, '');
        const atAgent = receive(socket, given.agentPauses);
        await send(socket, up);
        assert.equal(await atAgent, digest(down));
        assert.equal(await atManager, digest(up));
      }),
      { seed: 20_261, numRuns: 60 },
    );
    // Whoever is done first ends first: often the manager, never by a reset.
    assert.ok(world.of('suspect').every(({ why }) => why === 'closed'));
    assert.ok(relay.sessions.length <= 1);
  } finally {
    await world.close();
  }
});
