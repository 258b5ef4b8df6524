/**
 * The probes of `run`: every manager is watched beside the cycles, so that a long apply, a slow
 * disk or a question held back by a publisher delays nothing. The one in use is asked about once a
 * second on a kept connection, the others every few seconds, all faster while something is wrong.
 * Bounded: one question, and its repetition, per manager at a time.
 */
import type { Cancel } from '../clock.ts';
import type { Health } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import { isSame, targetOf } from './health-book.ts';
import { type Focus, ManagerWatch, type WatchParts } from './manager-watch.ts';
import { Readmissions } from './readmissions.ts';
import type { HealthView } from './world.ts';

export interface HealthWatch extends HealthView {
  focus(on: Focus): void;
  /** Something other than a probe speaks against it: one bad sign, and a probe at once. */
  suspect(managerId: string, why: string): void;
  /** What is known of it is about to be acted upon: asked at once, unless it just was. */
  refresh(managerId: string): void;
  snapshot(): ReadonlyMap<string, Health>;
  /** Told after every change of a verdict, at once and in order. */
  onChange(listener: (managerId: string, health: Health) => void): Cancel;
  /** Until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function buildHealthWatch(parts: WatchParts): HealthWatch {
  const watched = new Map<string, ManagerWatch>();
  const listeners = new Set<(id: string, health: Health) => void>();
  const readmissions = new Readmissions();
  const stop = new AbortController();
  let focus: Focus = { inUse: new Set(), shareMs: 0 };

  const confirmOthers = (id: string): void => {
    for (const [other, one] of watched) if (other !== id) one.confirm();
  };
  const follow = (manager: Manager): ManagerWatch => {
    const target = targetOf(manager);
    const known = watched.get(manager.id);
    if (known !== undefined && isSame(known.target, target)) return known;
    known?.stop();
    const changed = (health: Health): void => {
      if (health.verdict === 'down') confirmOthers(manager.id);
      for (const listener of [...listeners]) listener(manager.id, health);
    };
    const one = new ManagerWatch(parts, { id: manager.id, target, changed });
    watched.set(manager.id, one);
    one.focus(focus);
    one.start(stop.signal);
    return one;
  };
  const snapshot = (): ReadonlyMap<string, Health> =>
    new Map(
      [...watched].flatMap(([id, { health }]) =>
        health === undefined ? [] : [[id, readmissions.applyTo(id, health)]],
      ),
    );
  const setFocus = (on: Focus): void => {
    focus = on;
    for (const one of watched.values()) one.focus(on);
  };
  return {
    /** Every manager has been asked at least once; nothing is waited for after that. */
    async probe(managers) {
      readmissions.note(managers, parts.clock.nowMs());
      const listed = new Set(managers.map(({ id }) => id));
      for (const [id, one] of [...watched]) {
        if (listed.has(id)) continue;
        one.stop();
        watched.delete(id);
      }
      await Promise.all(managers.map((manager) => follow(manager).firstRound));
      return snapshot();
    },
    focus: setFocus,
    attend: (id) => setFocus({ ...focus, inUse: new Set([...focus.inUse, id]) }),
    suspect: (id, why) => watched.get(id)?.suspect(why),
    refresh: (id) => watched.get(id)?.refresh(),
    snapshot,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async run(signal) {
      const end = (): void => stop.abort(signal.reason);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
      await new Promise<void>((resolve) => {
        if (stop.signal.aborted) resolve();
        stop.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.all([...watched.values()].map((one) => one.ended));
    },
  };
}
