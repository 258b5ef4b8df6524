/**
 * An `ossec.conf` of our own writing with the traits of installed ones: two roots, comments (also
 * around servers), enrollment, sections full of characters that look like markup, CRLF on request.
 */

export interface ConfigServer {
  readonly address: string;
  readonly port?: number;
  readonly maxRetries?: number;
  readonly retryIntervalS?: number;
}

export interface ConfigTraits {
  readonly servers: readonly ConfigServer[];
  /** Absent: no element, so the agent's default (20 s). */
  readonly notifyS?: number;
  /** Absent: no element, so the agent's default (60 s). */
  readonly reconnectS?: number;
  readonly lineEnd?: '\n' | '\r\n';
  /** Comments in the form `<! ... !>`. */
  readonly oldComments?: boolean;
  /** `absent` leaves the block out; the agent's default is then yes. */
  readonly enrollment?: 'yes' | 'no' | 'absent';
  readonly enrollmentPort?: number;
}

/** The text of the file. */
export function configText(traits: ConfigTraits): string {
  const [open, close] = traits.oldComments ? ['<! ', ' !>'] : ['<!-- ', ' -->'];
  const note = (text: string): string => `${open}${text}${close}`;
  const text = `${head(note)}
<ossec_config>
  <client>
    ${note('where this host reports to; keep the order')}
${traits.servers.map(serverText).join('')}    <config-profile>debian, debian12</config-profile>
${scalar('notify_time', traits.notifyS)}${scalar('time-reconnect', traits.reconnectS)}    <auto_restart>yes</auto_restart>
    <crypto_method>aes</crypto_method>
${enrollmentText(traits)}  </client>
${sections(note)}
</ossec_config>

${note('added by the provisioning job')}
<ossec_config>
  <localfile>
    <log_format>journald</log_format>
    <location>journald</location>
  </localfile>

  <localfile>
    <log_format>syslog</log_format>
    <location>/var/log/dpkg.log</location>
  </localfile>

</ossec_config>
`;
  return text.replaceAll('\n', traits.lineEnd ?? '\n');
}

function head(note: (text: string) => string): string {
  return note(`
  Agent configuration of a test host. Not shipped by anybody.
  An example of the form, which is no entry: <server><address>192.0.2.9</address></server>
`);
}

function serverText(server: ConfigServer): string {
  const { address, port = 1514, maxRetries, retryIntervalS } = server;
  const own = (name: string, value: number | undefined): string =>
    value === undefined ? '' : `      <${name}>${value}</${name}>\n`;
  return `    <server>
      <address>${address}</address>
      <port>${port}</port>
      <protocol>tcp</protocol>
${own('max_retries', maxRetries)}${own('retry_interval', retryIntervalS)}    </server>
`;
}

function scalar(name: string, value: number | undefined): string {
  return value === undefined ? '' : `    <${name}>${value}</${name}>\n`;
}

function enrollmentText({ enrollment = 'yes', enrollmentPort }: ConfigTraits): string {
  if (enrollment === 'absent') return '';
  const port = enrollmentPort === undefined ? '' : `      <port>${enrollmentPort}</port>\n`;
  return `    <enrollment>
      <enabled>${enrollment}</enabled>
${port}      <groups>default,web-servers</groups>
      <delay_after_enrollment>20</delay_after_enrollment>
    </enrollment>
`;
}

function sections(note: (text: string) => string): string {
  return `
  <client_buffer>
    ${note('agent buffer options')}
    <disabled>no</disabled>
    <queue_size>5000</queue_size>
    <events_per_second>500</events_per_second>
  </client_buffer>

  <wodle name="syscollector">
    <disabled>no</disabled>
    <interval>1h</interval>
    <ports all="yes">yes</ports>
  </wodle>

  <syscheck>
    <disabled>no</disabled>
    <frequency>43200</frequency>
    <directories check_all="yes" realtime="yes">/etc,/usr/sbin</directories>
    <ignore type="sregex">.log$|.swp$</ignore>
  </syscheck>

  ${note('what the host itself says')}
  <localfile>
    <log_format>full_command</log_format>
    <command>ss -tlnp | awk '$4 ~ /:(22|443)$/ && NR > 1 { print $4 " \\< " $1 }'</command>
    <alias>listening ports &amp; their owners</alias>
    <frequency>360</frequency>
  </localfile>

  <active-response>
    <disabled>no</disabled>
    <ca_store>etc/wpk_root.pem</ca_store>
  </active-response>

  <logging>
    <log_format>plain</log_format>
  </logging>
`;
}
