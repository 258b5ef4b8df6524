/**
 * The errors that travel on the cluster channel (cluster-protocol.md 2.3, 11.2): class names,
 * titles and codes as data. The text never travels; each side rebuilds it from the code.
 */

/** Title on the wire, and whether the class carries `ids` there. */
interface FaultClassSpec {
  readonly title: string;
  readonly hasIds: boolean;
}

/** The only class names a stock node can decode. */
export const faultClasses = {
  WazuhException: { title: 'WazuhException', hasIds: false },
  WazuhInternalError: { title: 'Wazuh Internal Error', hasIds: false },
  WazuhClusterError: { title: 'Wazuh Cluster Error', hasIds: false },
  WazuhHAPHelperError: { title: 'HAProxy Helper Error', hasIds: false },
  WazuhError: { title: 'Bad Request', hasIds: true },
  WazuhPermissionError: { title: 'Permission Denied', hasIds: true },
  WazuhResourceNotFound: { title: 'Resource Not Found', hasIds: true },
  WazuhTooManyRequests: { title: 'Too Many Requests', hasIds: true },
  WazuhNotAcceptable: { title: 'Not Acceptable', hasIds: true },
} as const satisfies Readonly<Record<string, FaultClassSpec>>;

export type FaultClass = keyof typeof faultClasses;

export function isFaultClass(name: string): name is FaultClass {
  return Object.hasOwn(faultClasses, name);
}

/** Stock texts by code. Only 1017 has placeholders. */
export const faultTexts: Readonly<Record<number, string>> = {
  1000: 'Wazuh Internal Error',
  1013: 'Unable to connect with socket',
  1014: 'Error communicating with socket',
  1017: 'Some Wazuh daemons are not ready yet in node "{node_name}" ({not_ready_daemons})',
  1400: 'Invalid offset',
  1401: 'Invalid limit',
  1403: 'Not a valid sort field',
  1405: 'Specified limit exceeds maximum allowed',
  1406: '0 is not a valid limit',
  1407: 'Query does not match expected format',
  1408: 'Field does not exist',
  1409: 'Invalid query operator',
  1411: 'TimeFrame is not valid',
  1412: 'Date filter not valid. Valid formats are YYYY-MM-DD HH:mm:ss, YYYY-MM-DDTHH:mm:ssZ or YYYY-MM-DD',
  1701: 'Agent does not exist',
  1703: 'Action not available for Manager (agent 000)',
  1710: 'The group does not exist',
  1724: 'Not a valid select field',
  1728: 'Invalid node type',
  1730: 'Node does not exist',
  2003: 'Error in wazuhdb request',
  2005: 'Could not connect to wdb socket',
  2007: 'Error retrieving data from Wazuh DB',
  2009: 'Pagination error. Response from wazuh-db was over the maximum socket buffer size',
  2010: 'The requested read operation did not complete fully',
  2011: 'Could not connect to the wazuh-db unix socket',
  2012: 'Invalid wazuh-db HTTP request',
  2013: 'Error sending HTTP request',
  2014: 'The wazuh-db client connection timeout has been exceeded',
  2015: 'Invalid request URL scheme',
  2016: 'Invalid unix socket path',
  2017: 'Could not retrieve agents synchronization information from wazuh-db',
  3000: 'Cluster',
  3001: 'Error creating zip file',
  3002: 'Error creating PID file',
  3003: 'Error during file handling',
  3004: 'Error in cluster configuration',
  3005: 'Error reading cluster JSON file',
  3006: 'Error reading cluster configuration',
  3007: 'Client.keys file received in master node',
  3009: 'Error executing distributed API request',
  3012: 'Cluster is not running',
  3013: 'Cluster is not running, it might be disabled in `WAZUH_HOME/etc/ossec.conf`',
  3015: 'Cannot access directory',
  3016: 'Received an error response',
  3018: 'Error sending request',
  3020: 'Timeout sending request',
  3021: 'Timeout executing API request',
  3022: 'Unknown node ID',
  3023: 'Worker node is not connected to master',
  3024: 'Length of command exceeds limit defined in wazuh.cluster.common.Handler.cmd_len.',
  3025: 'Could not decrypt message',
  3026: 'Error sending request: Memory error. Request chunk size divided by 2.',
  3027: 'Unknown received task name',
  3028: 'Worker node ID already exists',
  3029: 'Connected worker with same name as the master',
  3030: 'Worker does not belong to the same cluster',
  3031: 'Worker and master versions are not the same',
  3032: 'Could not forward DAPI request. Connection not available.',
  3034: 'Error sending file. File not found.',
  3035: "String couldn't be found",
  3036: "JSON couldn't be loaded",
  3037: 'Error while processing Agent-info chunks',
  3038: 'Error while processing extra-valid files',
  3039: 'Timeout while waiting to receive a file',
  3040: 'Error while waiting to receive a file',
  3041: 'Server status check timed out after adding new servers',
  3042: 'User configuration is not valid',
  3043: 'Could not initialize Proxy API',
  3044: 'Could not connect to the HAProxy dataplane API',
  3045: 'Could not connect to HAProxy',
  3046: 'Invalid credentials for the Proxy API',
  3047: 'Invalid HAProxy Dataplane API specification configured',
  3048: 'Could not detect a valid HAProxy process linked to the Dataplane API',
  3049: 'Unexpected response from HAProxy Dataplane API',
  3050: 'Payload size exceeds maximum allowed limit',
  3051: 'Too many concurrent divided messages',
  3052: 'Invalid cluster file parameter',
  3053: 'Decompressed file exceeds the maximum allowed size',
  3060: 'Invalid node name format',
  4000: 'Permission denied',
};

/** Placeholders of code 1017, the only text that has any. */
export interface DaemonsNotReady {
  readonly node_name: string;
  readonly not_ready_daemons: string;
}

/** What one node says about a failed call, in `dapi_errors`. */
export interface NodeFault {
  readonly error: string;
  readonly logfile?: string;
}

/** An error as a plain value: never thrown, never revived into a class. */
export interface Fault {
  readonly class: FaultClass;
  readonly code: number;
  readonly extra?: string | DaemonsNotReady;
  readonly remediation?: string;
  /** `extra` is the whole message. */
  readonly isCommandError?: boolean;
  readonly nodes?: Readonly<Record<string, NodeFault>>;
  readonly ids?: readonly string[];
}

const badRequests: ReadonlySet<number> = new Set([
  1400, 1401, 1403, 1405, 1406, 1407, 1408, 1409, 1411, 1412, 1703, 1724, 1728,
]);

/** The class stock raises for this code on the cluster channel. */
function classOf(code: number): FaultClass {
  if (badRequests.has(code)) return 'WazuhError';
  if (code === 1701 || code === 1710 || code === 1730) return 'WazuhResourceNotFound';
  if (code === 4000) return 'WazuhPermissionError';
  if (code >= 3041 && code <= 3049) return 'WazuhHAPHelperError';
  return code >= 3000 && code < 4000 ? 'WazuhClusterError' : 'WazuhInternalError';
}

/** A fault of the class that stock uses for `code`. */
export function fault(code: number, extra?: string): Fault {
  return { class: classOf(code), code, ...(extra === undefined ? {} : { extra }) };
}

/** `Error 3030 - Worker does not belong to the same cluster`, as stock logs print it. */
export function faultText(value: Fault): string {
  return `Error ${value.code} - ${faultMessage(value)}`;
}

function faultMessage(value: Fault): string {
  const { extra } = value;
  const text = faultTexts[value.code];
  if (typeof extra === 'object') {
    return (text ?? '')
      .replace('{node_name}', () => extra.node_name)
      .replace('{not_ready_daemons}', () => extra.not_ready_daemons);
  }
  if (value.isCommandError === true || text === undefined) return extra ?? '';
  return extra === undefined ? text : `${text}: ${extra}`;
}
