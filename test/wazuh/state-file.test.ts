import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAgentState, parseLocalStamp } from '../../src/wazuh/state-file.ts';

// The full example of real-agent-lab.md 2.
const connected = `# State file for wazuh-agentd

# Agent status:
# - pending:      waiting to get connected.
# - connected:    connection established with manager in the last 20 seconds.
# - disconnected: connection lost or no ACK received in the last 60 seconds.
status='connected'

# Last time a keepalive was sent
last_keepalive='2026-11-21 02:53:46'

# Last time a control message was received
last_ack='2026-11-21 02:53:47'

# Number of generated events
msg_count='1'

# Number of messages (events + control messages) sent to the manager
msg_sent='4'

# Number of events currently buffered
# Empty if anti-flooding mechanism is disabled
msg_buffer='0'
`;
const stampMs = new Date(2026, 10, 21, 2, 53, 46).getTime();

test('a connected state file gives status, local stamps as instants, and counters', () => {
  assert.deepEqual(parseAgentState(connected, stampMs), {
    status: 'connected',
    lastKeepaliveAtMs: stampMs,
    lastAckAtMs: stampMs + 1_000,
    msgCount: 1,
    msgSent: 4,
    msgBuffer: 0,
  });
});

test('a fresh agent is pending, with no keepalive and no ack', () => {
  const text = "status='pending'\nlast_keepalive=''\nlast_ack=''\nmsg_count='0'\nmsg_buffer=''\n";
  assert.deepEqual(parseAgentState(text, 0), { status: 'pending', msgCount: 0 });
});

test('any half of a state file parses; what is cut off is absent', () => {
  for (let length = 0; length < connected.length; length += 1) {
    const state = parseAgentState(connected.slice(0, length), stampMs);
    assert.ok(state.status === 'connected' || state.status === 'unknown');
  }
});

test('CRLF and unknown keys (5.0 task counters) are accepted, unknown states are unknown', () => {
  assert.equal(parseAgentState("status='connected'\r\nqueued='3'\r\n", 0).status, 'connected');
  assert.equal(parseAgentState("status='dancing'\n", 0).status, 'unknown');
});

test('an hour that happens twice is read as the one nearest to the file', () => {
  const zone = process.env.TZ;
  process.env.TZ = 'Europe/Berlin'; // clocks go back at 2026-10-25T01:00:00Z, 02:30 happens twice
  try {
    const early = Date.UTC(2026, 9, 25, 0, 30, 0);
    const late = Date.UTC(2026, 9, 25, 1, 30, 0);
    assert.equal(parseLocalStamp('2026-10-25 02:30:00', early + 5_000), early);
    assert.equal(parseLocalStamp('2026-10-25 02:30:00', late + 5_000), late);
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});

test('an impossible stamp is absent', () => {
  for (const text of ['', '2026-13-01 00:00:00', '2026-01-01 24:00:00', '2026-01-01T00:00:00Z']) {
    assert.equal(parseLocalStamp(text, 0), undefined);
  }
});
