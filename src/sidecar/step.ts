/** The one thing a cycle may do, with the reasons that led to it. */

export type StayReason =
  | 'current_is_up'
  | 'none_is_up'
  | 'nothing_known'
  | 'agent_stopped'
  | 'behind_balancer';
export type WriteReason = 'membership' | 'tuning' | 'own_order';
export type MoveReason =
  | 'manager_down'
  | 'manager_draining'
  | 'manager_unlisted'
  | 'address_changed'
  | 'vip_moved'
  | 'agent_lost'
  | 'agent_unlisted'
  | 'agent_wedged'
  | 'relay_unused'
  | 'surplus'
  | 'fail_back';
export type HoldReason =
  | 'agent_absent'
  | 'paused'
  | 'upgrade_running'
  | 'file_refused'
  | 'panic'
  | 'agent_reconnecting'
  | 'none_is_up'
  | 'too_few_managers'
  | 'no_candidate'
  | 'slot'
  | 'cooldown'
  | 'min_apply_interval'
  | 'native_loop'
  | 'coming_back'
  | 'asking'
  | 'window'
  | 'freeze'
  | 'budget'
  | 'apply_held';

export type Step =
  | { readonly kind: 'stay'; readonly reason: StayReason }
  /** Rewrite the file; the agent goes on undisturbed. */
  | { readonly kind: 'write'; readonly order: readonly string[]; readonly reason: WriteReason }
  /** Rewrite the file with `to` first and restart the agent. */
  | {
      readonly kind: 'move';
      readonly order: readonly string[];
      readonly to: string;
      readonly reason: MoveReason;
    }
  /** Cut the agent's connection inside the relay: it reconnects at once, to `to`. No restart. */
  | {
      readonly kind: 'switch';
      readonly from: string;
      readonly to: string;
      readonly reason: MoveReason;
      /** Only this session: the manager itself is good, where it is now. */
      readonly session?: number;
    }
  /** Something is wanted, but not now; `untilMs` when the time of it is known. */
  | { readonly kind: 'hold'; readonly reason: HoldReason; readonly untilMs?: number }
  /** Put the newest backup of ossec.conf back: the file is gone. */
  | { readonly kind: 'restore' };

export interface Decision {
  readonly step: Step;
  /** One line for every rule that was asked, in order; the last one decided. */
  readonly trace: readonly string[];
}

/** Two steps with one key ask the applier for the same thing. */
export function stepKey(step: Step, listHash: string): string {
  if (step.kind !== 'write' && step.kind !== 'move') return step.kind;
  return `${step.kind} ${listHash} ${step.order.join(',')}`;
}
