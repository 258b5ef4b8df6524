/** Sends NOTIFY and updates to other name servers, each with a deadline and a bound on tries. */
import { type Clock, deadline, type Random, sleep } from '../clock.ts';
import { DnsFault } from '../dns/fault.ts';
import type { NameServer } from '../dns/servers.ts';
import { checkSignature, signMessage, type TsigKey } from '../dns/tsig.ts';
import {
  checkUpdateReply,
  encodeNotify,
  encodeUpdate,
  isNotifyReply,
  type ZoneChange,
} from '../dns/zone-update.ts';
import { PeerError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { buildDnsSockets } from './dns-sockets.ts';

const tries = 5;
const firstWaitMs = 500;
const updateMs = 5_000;

export interface ZonePeers {
  /** True once the secondary said that it heard; false when it never did. Rejects with `signal`. */
  notify(server: NameServer, zone: string, signal: AbortSignal): Promise<boolean>;
  /** Throws PeerError `peer_refused` with the server's reason, `connect_failed` when it is not reached. */
  update(
    server: NameServer,
    change: ZoneChange,
    /** Undefined: unsigned, for servers that know us by our address alone. */
    key: TsigKey | undefined,
    signal: AbortSignal,
  ): Promise<void>;
}

export function buildZonePeers(clock: Clock, random: Random): ZonePeers {
  const sockets = buildDnsSockets();
  const id = (): number => Buffer.from(random.bytes(2)).readUInt16BE(0);
  return {
    async notify(server, zone, signal) {
      for (let round = 0; round < tries; round += 1) {
        const message = encodeNotify(zone, id());
        const limit = deadline(clock, firstWaitMs * 2 ** round, signal);
        try {
          const heard = (bytes: Uint8Array) =>
            isNotifyReply(bytes, message) ? 'accept' : 'ignore';
          await sockets.datagram(server, message, heard, limit.signal);
          return true;
        } catch {
          signal.throwIfAborted();
          // refused at once is no reason to hurry: it may be restarting
          if (!limit.signal.aborted) await sleep(clock, firstWaitMs * 2 ** round, signal);
        } finally {
          limit.cancel();
        }
      }
      return false;
    },
    async update(server, change, key, signal) {
      const limit = deadline(clock, updateMs, signal);
      const messageId = id();
      const nowSec = Math.floor(clock.nowMs() / 1_000);
      const message = encodeUpdate(change, messageId);
      const signed = key && signMessage(message, key, nowSec);
      try {
        const bytes = signed?.bytes ?? message;
        const reply = Buffer.from(await sockets.stream(server, bytes, limit.signal));
        checkUpdateReply(reply, messageId);
        if (key !== undefined && signed !== undefined) {
          checkSignature(reply, key, signed.mac, nowSec);
        }
      } catch (thrown) {
        signal.throwIfAborted();
        const reason = thrown instanceof DnsFault ? 'peer_refused' : 'connect_failed';
        const where = `${server.address}:${server.port}`;
        throw new PeerError(reason, `${where}: ${messageOf(thrown)}`, { cause: thrown });
      } finally {
        limit.cancel();
      }
    },
  };
}
