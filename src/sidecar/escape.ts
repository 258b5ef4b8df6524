/**
 * A second manager may die while the agent is being moved to it. Probing goes on beside the move,
 * so this is known in a second or two: waiting for that target ends, and the next cycle looks anew.
 */
import type { Cancel } from '../clock.ts';
import type { Step } from './step.ts';
import type { World } from './world.ts';

export interface Escape {
  /** Aborts when the target is dead and another manager of the order is up. */
  readonly signal: AbortSignal;
  readonly stop: Cancel;
}

export function watchTarget({ health, log }: Pick<World, 'health' | 'log'>, step: Step): Escape {
  const abort = new AbortController();
  if (step.kind !== 'move') return { signal: abort.signal, stop: () => undefined };
  const { to, order } = step;
  const look = (): void => {
    const now = health.snapshot?.();
    if (now?.get(to)?.verdict !== 'down' || abort.signal.aborted) return;
    if (!order.some((id) => id !== to && now.get(id)?.verdict === 'up')) return;
    log.warn('move.abandoned', { to, seen: now.get(to)?.seen });
    abort.abort(new DOMException(`${to} died while the agent was moved to it`, 'AbortError'));
  };
  health.attend?.(to);
  const stop = health.onChange?.(look) ?? (() => undefined);
  look();
  return { signal: abort.signal, stop };
}
