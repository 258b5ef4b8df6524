/**
 * A clock whose monotonic time goes on while the host sleeps (Linux: CLOCK_BOOTTIME, by 10 ms), for
 * what must end in time also on a machine that was suspended: a lease. Timers are the ordinary ones.
 */
import { uptime } from 'node:os';
import type { Clock } from '../clock.ts';
import { systemClock } from './system-clock.ts';

export const bootClock: Clock = { ...systemClock, monotonicMs: () => uptime() * 1_000 };
