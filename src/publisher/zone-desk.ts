/**
 * The publisher's DNS zone while it runs: follows the managers, keeps one content per view, answers
 * from memory. A change raises the serial and is told to the secondaries; nothing else is.
 */
import type { Clock, Random } from '../clock.ts';
import { ResponseRate } from '../dns/rate-limit.ts';
import { answerZone, truncatedAnswer, type ZoneReply } from '../dns/zone-answer.ts';
import {
  buildZone,
  isOtherZone,
  managersFrom,
  nextSerial,
  type ZoneContent,
  type ZoneManager,
  type ZoneSettings,
} from '../dns/zone-content.ts';
import { parseAddress } from '../list/address.ts';
import { isInside } from '../list/cidr.ts';

/** Clients in `networks` get the managers of `site` first. */
export interface ZoneView {
  readonly networks: readonly string[];
  readonly site: string;
}

export interface ZoneDeskSettings extends ZoneSettings {
  readonly views: readonly ZoneView[];
  /** Networks that may transfer the zone. */
  readonly secondaries: readonly string[];
  /** Answers a second for one network. */
  readonly answersPerSecond: number;
}

export interface ZoneDeskParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ZoneDeskSettings;
  /** Called after a change, with the new serial. */
  readonly onChange: (zone: ZoneContent) => void;
}

const maxNetworks = 10_000;

export class ZoneDesk {
  readonly counts: Record<ZoneReply['outcome'], number> = {
    ...{ answered: 0, negative: 0, refused: 0, transfer: 0, truncated: 0, dropped: 0 },
  };
  readonly #parts: ZoneDeskParts;
  readonly #rate: ResponseRate;
  #whole: ZoneContent | undefined;
  #elsewhere = '';
  #views: readonly { readonly view: ZoneView; readonly content: ZoneContent }[] = [];

  constructor(parts: ZoneDeskParts) {
    this.#parts = parts;
    const perSecond = parts.settings.answersPerSecond;
    this.#rate = new ResponseRate({ perSecond, maxNetworks });
  }

  /** What transfers carry; undefined before the first `update`. */
  zone(): ZoneContent | undefined {
    return this.#whole;
  }

  /** `version`: the list's, as text. True when the zone changed. */
  update(managers: readonly ZoneManager[], version: string): boolean {
    const { settings, clock, onChange } = this.#parts;
    const serves = managers.some(({ isServing }) => isServing);
    // Nobody answers from here: what was said last is no worse than silence.
    if (!serves && this.#whole !== undefined) return false;
    const named = serves ? managers : managers.map((one) => ({ ...one, isServing: true }));
    const serial = nextSerial(this.#whole?.serial, clock.nowMs());
    const next = buildZone(settings, named, { serial, version });
    const elsewhere = JSON.stringify(named.map((one) => one.elsewhere ?? {}));
    const isSame = this.#whole !== undefined && !isOtherZone(this.#whole, next);
    if (isSame && elsewhere === this.#elsewhere) return false;
    this.#elsewhere = elsewhere;
    this.#whole = next;
    this.#views = settings.views.map((view) => ({
      view,
      content: buildZone(settings, managersFrom(named, view.site), {
        ...{ serial, version, site: view.site },
      }),
    }));
    onChange(next);
    return true;
  }

  answer(bytes: Uint8Array, client: string, transport: 'udp' | 'tcp'): readonly Buffer[] {
    const zone = this.#zoneFor(client);
    if (zone === undefined) return [];
    if (transport === 'udp') {
      const judged = this.#rate.judge(client, this.#parts.clock.monotonicMs());
      if (judged !== 'answer') return this.#refuse(judged, bytes);
    }
    const mayTransfer = isIn(client, this.#parts.settings.secondaries);
    const { random } = this.#parts;
    const reply = answerZone(zone, { bytes, transport, mayTransfer }, () => random.fraction());
    this.counts[reply.outcome] += 1;
    return reply.messages;
  }

  /** Secondaries get the whole zone, whatever view their address would give them. */
  #zoneFor(client: string): ZoneContent | undefined {
    if (isIn(client, this.#parts.settings.secondaries)) return this.#whole;
    const found = this.#views.find(({ view }) => isIn(client, view.networks));
    return found?.content ?? this.#whole;
  }

  #refuse(judged: 'truncate' | 'drop', bytes: Uint8Array): readonly Buffer[] {
    const short = judged === 'truncate' ? truncatedAnswer(bytes) : undefined;
    this.counts[short === undefined ? 'dropped' : 'truncated'] += 1;
    return short === undefined ? [] : [short];
  }
}

function isIn(client: string, networks: readonly string[]): boolean {
  const address = parseAddress(client);
  return address !== undefined && networks.some((network) => isInside(address, network));
}
