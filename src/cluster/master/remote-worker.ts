/**
 * One worker as its master sees it, from a good hello to the end of the link: who it is, that it
 * lives, the files that travel either way. What is done for it is in the parts, `integrity` first.
 */
import { PeerError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { ZoneAddress } from '../../list/model.ts';
import type { Link } from '../link.ts';
import type { PeerKind } from '../session/output.ts';
import { NodeLog } from '../tasks/node-log.ts';
import type { TransferFolder } from '../tasks/node-ports.ts';
import { ReceivingTasks } from '../tasks/receiving.ts';
import { parseSaid } from '../tasks/said-addresses.ts';
import { SendingTasks } from '../tasks/sending.ts';
import { type Fault, faultText } from '../wire/fault.ts';
import type { Hello } from '../wire/payload-hello.ts';
import type { MasterDesk } from './desk.ts';
import { type IntegrityPeer, RemoteIntegrity } from './integrity.ts';
import type { WorkerStatus } from './worker-status.ts';

export class RemoteWorker implements IntegrityPeer {
  readonly name: string;
  readonly link: Link;
  readonly log: NodeLog;
  readonly transfers: TransferFolder;
  readonly receiving: ReceivingTasks;
  readonly sending = new SendingTasks();
  readonly integrity: RemoteIntegrity;
  readonly connectedAtMs: number;
  readonly #hello: Hello;
  readonly #desk: MasterDesk;
  readonly #stop = new AbortController();
  #lastAliveAtMs: number;
  #lastAliveMonotonicMs: number;
  #peer: PeerKind | undefined;
  #features: ReadonlySet<string> = new Set();
  #isLeaving = false;
  #isAsked = false;
  #said: readonly ZoneAddress[] | undefined;

  constructor(hello: Hello, link: Link, transfers: TransferFolder, desk: MasterDesk) {
    const { clock, random, log } = desk.ports;
    this.name = hello.node;
    this.link = link;
    this.log = new NodeLog(log, `Worker ${hello.node}`);
    this.transfers = transfers;
    this.receiving = new ReceivingTasks({
      clock,
      random,
      timeoutMs: desk.settings.cluster.communication.receivingFileTimeoutMs,
      cancel: (taskId, reason) => this.#cancelPeer(taskId, reason),
    });
    this.connectedAtMs = clock.nowMs();
    this.#hello = hello;
    this.#desk = desk;
    this.#lastAliveAtMs = this.connectedAtMs;
    this.#lastAliveMonotonicMs = clock.monotonicMs();
    this.integrity = new RemoteIntegrity(this, desk);
  }

  /** Undefined: not known; a stock worker never tells. */
  get peer(): PeerKind | undefined {
    return this.#peer;
  }

  get features(): ReadonlySet<string> {
    return this.#features;
  }

  /** Aborts when the link ends; every task of this worker runs under it. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Milliseconds since its last keep-alive, or since it connected. */
  get silentMs(): number {
    return this.#desk.ports.clock.monotonicMs() - this.#lastAliveMonotonicMs;
  }

  alive(): void {
    const { clock } = this.#desk.ports;
    this.#lastAliveAtMs = clock.nowMs();
    this.#lastAliveMonotonicMs = clock.monotonicMs();
  }

  /** Somebody came under its name, maybe itself after its line broke: a dead link goes soon. */
  mustAnswer(): void {
    if (this.#isAsked || !this.link.isOpen) return;
    this.#isAsked = true;
    this.link.request('echoMaster', Buffer.from('keepalive')).then(
      () => {
        this.#isAsked = false;
      },
      (cause: unknown) => {
        void this.link.close(new PeerError('peer_silent', 'no answer to an echo', { cause }));
      },
    );
  }

  /** It announced that it is about to be stopped; true until it comes back on another link. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Only nodes of ours have such a word; from another peer it is an echo and nothing else. */
  leave(): void {
    if (this.#peer !== 'ours' || this.#isLeaving) return;
    this.#isLeaving = true;
    this.log.info('It is about to be stopped: its agents go first.');
  }

  /** Where agents reach its manager, as it says; undefined: it said nothing. */
  get said(): readonly ZoneAddress[] | undefined {
    return this.#said;
  }

  /** What cannot be read changes nothing. */
  says(bytes: Uint8Array): void {
    if (this.#peer !== 'ours') return;
    try {
      this.#said = parseSaid(bytes);
    } catch (error) {
      this.log.error(`What it says of its addresses is not readable: ${messageOf(error)}`);
    }
  }

  recognised(peer: PeerKind, features: ReadonlySet<string>): void {
    this.#peer = peer;
    this.#features = features;
    if (peer === 'ours') this.#desk.ports.peerBook.remember(this.name);
  }

  cancelled(taskId: string | undefined, reason: Fault): void {
    const isKnown = this.sending.cancelled(taskId, reason);
    const what = isKnown
      ? 'The task was canceled due to the following error on the remote node'
      : 'The task was requested to be canceled but no task_id was received';
    this.log.error(`${what}: ${faultText(reason)}`);
  }

  /** The link ended. */
  end(): void {
    this.#stop.abort(new PeerError('link_closed', 'the link ended'));
    this.receiving.end();
    this.integrity.end();
    this.transfers.end().catch((error: unknown) => {
      this.log.error(`What it uploaded could not be removed: ${messageOf(error)}`);
    });
  }

  status(): WorkerStatus {
    return {
      name: this.name,
      type: this.#hello.type,
      version: this.#hello.version,
      address: this.link.peerAddress,
      peer: this.#peer,
      connectedAtMs: this.connectedAtMs,
      lastKeepAliveAtMs: this.#lastAliveAtMs,
      ...this.integrity.status(),
    };
  }

  #cancelPeer(taskId: string, reason: Fault): void {
    if (!this.link.isOpen) return;
    this.link.request('cancelTask', { taskId, fault: reason }).catch(() => undefined);
  }
}
