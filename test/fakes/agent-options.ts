/** Flags of the stand-in agent. Every timing defaults to what the real one was measured to do. */
import { parseArgs } from 'node:util';

export const agentHelp = `Usage: agent.ts --home DIR [options]         (a stand-in, not a Wazuh agent)
       agent.ts -t -c FILE                   test the configuration: exit code 0 or 1
  --home DIR                   agent home: etc/ossec.conf, etc/client.keys, var/run, queue/sockets, logs
  -t, --test                   only read the configuration
  -c, --config FILE            configuration file (default HOME/etc/ossec.conf)
Timing (default: the real agent's)
  --recv-timeout-ms N          wait for the handshake's answer (agent.recv_timeout in
                               HOME/etc/local_internal_options.conf, else 60000)
  --connect-timeout-ms N       give up a connect() after N (default 0: when the kernel does)
  --retry-interval-unit-ms N   length of one second of <retry_interval> (1000)
  --notify-unit-ms N           length of one second of <notify_time> and <time-reconnect> (1000)
  --tick-ms N                  longest wait of the main loop; also the pause after a failed stop (1000)
  --state-interval-ms N        how often the state file is rewritten (5000)
  --lookup-retry-ms N          pause after each of four failed look-ups of a name (1000)
Events
  --events-per-second N        events put into the memory buffer (0)
  --event-bytes N              size of each (330)
  --buffer-events N            capacity of the memory buffer; the newest is dropped (5000)
  --buffer-rate N              most events taken from it per second (500)
  --send-buffer-bytes N        bytes the socket holds unacknowledged before send() blocks
                               (69120; 0: whatever the kernel gives)
  --hung-buffer-bytes N        the same while a hung manager's kernel still answers (1750000; with
                               that kernel's own buffer 1.9 MB: measured between 1.6 and 2.2)
  --no-wedge                   a full socket does not hold the send mutex (the real one's does)
Life
  --keep                       do not end when standard input closes
  --exit-with-pid PID          die at once (as by SIGKILL) when that process is gone
Signals: SIGTERM ends cleanly (not while wedged), SIGUSR1 re-reads the file but no servers, SIGHUP nothing.
Events on stdout, one JSON line each: started trying connected failed lost send_blocked send_freed
buffer_full stopping stopped refused`;

export interface AgentOptions {
  readonly home: string;
  readonly configPath: string;
  readonly isTest: boolean;
  readonly recvTimeoutMs: number | undefined;
  /** 0 leaves it to the kernel. */
  readonly connectTimeoutMs: number;
  readonly retryUnitMs: number;
  readonly notifyUnitMs: number;
  readonly tickMs: number;
  readonly stateIntervalMs: number;
  readonly lookupRetryMs: number;
  readonly eventsPerSecond: number;
  readonly eventBytes: number;
  readonly bufferEvents: number;
  readonly bufferRate: number;
  readonly sendBufferBytes: number;
  readonly hungBufferBytes: number;
  readonly wedges: boolean;
  readonly keep: boolean;
  readonly exitWithPid: number | undefined;
}

const numbers = {
  'connect-timeout-ms': 0,
  'retry-interval-unit-ms': 1000,
  'notify-unit-ms': 1000,
  'tick-ms': 1000,
  'state-interval-ms': 5000,
  'lookup-retry-ms': 1000,
  'events-per-second': 0,
  'event-bytes': 330,
  'buffer-events': 5000,
  'buffer-rate': 500,
  'send-buffer-bytes': 69_120,
  'hung-buffer-bytes': 1_750_000,
} as const;

/** Undefined when help is wanted or neither home nor file is named. Throws on an unknown flag. */
export function readAgentOptions(argv: readonly string[]): AgentOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      home: { type: 'string' },
      test: { type: 'boolean', short: 't', default: false },
      config: { type: 'string', short: 'c' },
      'recv-timeout-ms': { type: 'string' },
      'no-wedge': { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      'exit-with-pid': { type: 'string' },
      help: { type: 'boolean', default: false },
      ...numberFlags(),
    },
  });
  const home = values.home ?? '.';
  if (values.help || (values.home === undefined && !values.test)) return undefined;
  const given = values as Readonly<Record<string, string | boolean | undefined>>;
  const number = (name: keyof typeof numbers): number => naturalNumber(name, given[name]);
  return {
    home,
    configPath: values.config ?? `${home}/etc/ossec.conf`,
    isTest: values.test,
    recvTimeoutMs: optionalNumber('recv-timeout-ms', values['recv-timeout-ms']),
    connectTimeoutMs: number('connect-timeout-ms'),
    retryUnitMs: number('retry-interval-unit-ms'),
    notifyUnitMs: number('notify-unit-ms'),
    tickMs: number('tick-ms'),
    stateIntervalMs: number('state-interval-ms'),
    lookupRetryMs: number('lookup-retry-ms'),
    eventsPerSecond: number('events-per-second'),
    eventBytes: number('event-bytes'),
    bufferEvents: number('buffer-events'),
    bufferRate: number('buffer-rate'),
    sendBufferBytes: number('send-buffer-bytes'),
    hungBufferBytes: number('hung-buffer-bytes'),
    wedges: !values['no-wedge'],
    keep: values.keep,
    exitWithPid: optionalNumber('exit-with-pid', values['exit-with-pid']),
  };
}

function numberFlags(): Record<string, { readonly type: 'string'; readonly default: string }> {
  const flags = Object.entries(numbers).map(
    ([name, value]) => [name, { type: 'string', default: String(value) }] as const,
  );
  return Object.fromEntries(flags);
}

function naturalNumber(name: string, text: string | boolean | undefined): number {
  if (typeof text !== 'string' || !/^\d+$/.test(text)) {
    throw new TypeError(`--${name} wants a whole number, not '${String(text)}'`);
  }
  return Number(text);
}

function optionalNumber(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : naturalNumber(name, text);
}
