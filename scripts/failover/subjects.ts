/** Who keeps the agent connected: its own loop, a balancer, or Pilotfish. Each on a stage of its own. */
import { control } from '../../test/fakes/agent-home.ts';
import { ownAddress } from '../../test/fakes/processes.ts';
import { Stage, type StageOptions } from '../demonstration/stage.ts';
import { type Balancer, balancers } from './balancers.ts';
import { eventFlags, type Fault } from './faults.ts';

export interface Subject {
  readonly name: string;
  /** Seconds after which a fault counts as not healed. */
  readonly cutS: number;
  /** Several faults in a row on one stage; native loops take too long for that. */
  readonly repeats: boolean;
  /** Those of one lane have their faults one after the other, lanes go side by side. */
  readonly lane: string;
  /** Why it cannot run here, or undefined. */
  missing(): string | undefined;
  faces(fault: Fault): boolean;
  /** Everything runs and the agent is connected. `index` keeps the addresses of stages apart. */
  setUp(fault: Fault, index: number): Promise<Stage>;
  /** Before each further fault. */
  ready(stage: Stage): Promise<void>;
}

/** The native loop may wedge for ever while events flow: two minutes are enough to see it. */
export const wedgeCutS = 120;

function optionsFor(fault: Fault, index: number): StageOptions & { addresses: readonly string[] } {
  const addresses = [ownAddress(index), ownAddress(index + 1)];
  // What a killed manager had taken in is not lost: it tells of each event, where they are few.
  const reportIntervalMs = fault === 'hung+events' ? 50 : 0;
  return { addresses, agentFlags: eventFlags(fault), reportIntervalMs };
}

function native(name: string, tuned: boolean): Subject {
  return {
    name,
    cutS: 960,
    repeats: false,
    lane: name,
    missing: () => undefined,
    faces: (fault) => fault !== 'drained',
    async setUp(fault, index) {
      const options = optionsFor(fault, index);
      const retries = tuned ? { maxRetries: 1, retryIntervalS: 1 } : {};
      const stage = Stage.make({
        ...options,
        servers: options.addresses.map((address) => ({ address, ...retries })),
        ...(tuned ? { notifyS: 5, reconnectS: 15 } : {}),
      });
      await stage.startManagers();
      control(stage.home, 'start');
      return stage;
    },
    ready: async () => undefined,
  };
}

function behind(balancer: Balancer): Subject {
  return {
    name: balancer.subject,
    cutS: wedgeCutS,
    repeats: true,
    lane: balancer.subject,
    missing: () => balancer.missing(),
    faces: (fault) => fault !== 'drained',
    async setUp(fault, index) {
      const options = optionsFor(fault, index);
      const address = ownAddress(index + 2);
      const stage = Stage.make({ ...options, servers: [{ address }] });
      await stage.startManagers();
      stage.startProgram(
        balancer.prepare({
          listen: `${address}:1514`,
          targets: options.addresses.map((one) => `${one}:1514`),
          folder: stage.directory,
        }),
      );
      await listens(address);
      control(stage.home, 'start');
      return stage;
    },
    // A healed manager has to pass `rise 2` of the checks before the next one is taken away.
    ready: () => new Promise((resolve) => setTimeout(resolve, 6_000)),
  };
}

async function listens(address: string): Promise<void> {
  const { connect } = await import('node:net');
  for (let tries = 0; tries < 200; tries++) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(1514, address);
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing listens at ${address}:1514`);
}

function pilotfish(mode: 'agentd' | 'relay'): Subject {
  return {
    name: `pilotfish-${mode}`,
    cutS: wedgeCutS,
    repeats: true,
    lane: `pilotfish-${mode}`,
    missing: () => undefined,
    faces: () => true,
    async setUp(fault, index) {
      const options = optionsFor(fault, index);
      const servers = options.addresses.map((address) => ({ address }));
      // The relay's own port must not become a place to enrol at (trust-and-safety, first section).
      const stage = Stage.make({
        ...options,
        servers,
        enrollment: mode === 'relay' ? 'no' : 'yes',
      });
      await stage.startManagers();
      await stage.startPublisher();
      control(stage.home, 'start');
      const config = stage.impatientConfig({ mode, stable: '1s' });
      const relay = { address: ownAddress(index + 2), port: 514 };
      stage.writeSidecarConfig(mode === 'relay' ? { ...config, relay } : config);
      stage.join();
      stage.startSidecar();
      if (mode === 'relay') await stage.connectedThrough(relay.address);
      return stage;
    },
    ready: (stage) => stage.allSeenUp(),
  };
}

export const subjects: readonly Subject[] = [
  native('native', false),
  native('native-tuned', true),
  ...balancers.map(behind),
  pilotfish('agentd'),
  pilotfish('relay'),
];
