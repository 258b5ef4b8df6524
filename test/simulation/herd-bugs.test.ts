/** The same for worlds with many agents on few slow managers. */
import { testWorlds } from './world-tests.ts';

testWorlds(['herd', 'relayHerd', 'relayDrain']);
