/** `version --selftest` from real parts. */
import { runSelfTest, runtimeText, type SelfCheck } from '../host/self-test.ts';

export type { SelfCheck } from '../host/self-test.ts';

export interface SelfTest {
  readonly checks: readonly SelfCheck[];
  /** Node, platform and architecture. */
  readonly runtime: string;
}

export async function selfTest(): Promise<SelfTest> {
  return { checks: await runSelfTest(), runtime: runtimeText() };
}
