/**
 * Everything that was seen of a manager as one opinion per place. A site has one voice, however many
 * publishers and sidecars look from there: its blindness is one voice, too. Pure.
 */
import type { ManagerViews, Opinion } from './view.ts';

export interface Places {
  readonly up: number;
  readonly down: number;
  /** Of a place that spoke a moment ago and may only be late. */
  readonly late: number;
}

export function countPlaces({ probe, cluster, sites, peers = [], site }: ManagerViews): Places {
  const voices: readonly (readonly [place: string, opinion: Opinion])[] = [
    [site === undefined ? 'here' : `site ${site}`, probe],
    ['cluster', cluster],
    ...sites.map((one) => [`site ${one.site}`, one.opinion] as const),
    ...peers.map((one) => [placeOf(one), one.opinion] as const),
  ];
  const places = new Map<string, Opinion[]>();
  for (const [place, opinion] of voices) places.set(place, [...(places.get(place) ?? []), opinion]);
  const opinions = [...places.values()].map(oneVoice);
  const lates = peers.filter((one) => one.opinion === 'unknown').map(placeOf);
  return {
    up: opinions.filter((one) => one === 'up').length,
    down: opinions.filter((one) => one === 'down').length,
    late: lates.filter((place) => places.get(place)?.every((one) => one === 'unknown')).length,
  };
}

function placeOf({ publisher, site }: NonNullable<ManagerViews['peers']>[number]): string {
  return site === undefined ? `publisher ${publisher}` : `site ${site}`;
}

/** Whoever reaches it from there proves that it can be reached: only more voices say otherwise. */
function oneVoice(opinions: readonly Opinion[]): Opinion {
  const up = opinions.filter((one) => one === 'up').length;
  const down = opinions.filter((one) => one === 'down').length;
  if (up + down === 0) return 'unknown';
  return down > up ? 'down' : 'up';
}
