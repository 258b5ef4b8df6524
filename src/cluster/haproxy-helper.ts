/**
 * The `<haproxy_helper>` section of the cluster block: every option with its default, check and
 * stock error text (cluster-protocol.md 7.3). Pure. Where stock stops with a bare key or takes a
 * text for a list, this says what is wrong (missing options) or reads what was meant (a password
 * with a comma, one excluded node).
 */
import { ConfigError } from '../errors.ts';
import type { BlockValue } from '../wazuh/manager-cluster-block.ts';

export interface HaproxyHelper {
  readonly disabled: boolean;
  /** Of the Data Plane API. Empty only where the helper is disabled, as user and password. */
  readonly address: string;
  readonly port: number;
  readonly protocol: 'http' | 'https';
  readonly user: string;
  /** Never logged. */
  readonly password: string;
  readonly backend: string;
  readonly resolver: string | undefined;
  /** Path of the certificate that the API is judged by; undefined: the system's. */
  readonly certificate: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientKey: string | undefined;
  readonly clientKeyPassword: string | undefined;
  readonly excludedNodes: readonly string[];
  readonly everyS: number;
  readonly agentChunkSize: number;
  readonly reconnectionS: number;
  readonly stabilityS: number;
  /** Above 0, at most 1. */
  readonly imbalanceTolerance: number;
  readonly removeDisconnectedAfterMin: number;
}

interface Range {
  readonly fallback: number;
  readonly least: number;
  readonly most?: number;
}

/** Throws `ConfigError` `config_invalid` with the stock text (3004, 3042). */
export function haproxyHelperOf(section: BlockValue): HaproxyHelper {
  if (typeof section !== 'object' || Array.isArray(section)) throw noSection();
  const options = new Map(Object.entries(section));
  for (const name of options.keys()) {
    if (!knownOptions.has(name)) throw invalid(`Invalid element in the configuration: '${name}'.`);
  }
  const disabled = disabledOf(options);
  const certificate = optional(options, 'haproxy_cert');
  return {
    disabled,
    address: required(options, 'haproxy_address', 'address', disabled),
    port: integer(options, 'haproxy_port', { fallback: 5555, least: 1024, most: 65_535 }),
    protocol: protocolOf(options, certificate),
    user: required(options, 'haproxy_user', 'user', disabled),
    password: required(options, 'haproxy_password', 'password', disabled),
    backend: optional(options, 'haproxy_backend') ?? 'wazuh_reporting',
    resolver: optional(options, 'haproxy_resolver'),
    certificate,
    clientCertificate: optional(options, 'client_cert'),
    clientKey: optional(options, 'client_cert_key'),
    clientKeyPassword: optional(options, 'client_cert_password'),
    excludedNodes: listOf(options, 'excluded_nodes'),
    everyS: integer(options, 'frequency', { fallback: 60, least: 10 }),
    agentChunkSize: integer(options, 'agent_chunk_size', { fallback: 300, least: 100 }),
    reconnectionS: integer(options, 'agent_reconnection_time', { fallback: 5, least: 0 }),
    stabilityS: integer(options, stabilityOption, { fallback: 60, least: 10 }),
    imbalanceTolerance: toleranceOf(options),
    removeDisconnectedAfterMin: integer(options, removeOption, { fallback: 240, least: 0 }),
  };
}

const stabilityOption = 'agent_reconnection_stability_time';
const toleranceOption = 'imbalance_tolerance';
const removeOption = 'remove_disconnected_node_after';

const knownOptions: ReadonlySet<string> = new Set([
  ...['haproxy_disabled', 'haproxy_address', 'haproxy_port', 'haproxy_protocol', 'haproxy_user'],
  ...['haproxy_password', 'haproxy_backend', 'haproxy_resolver', 'haproxy_cert', 'client_cert'],
  ...['client_cert_key', 'client_cert_password', 'excluded_nodes', 'frequency'],
  ...['agent_chunk_size', 'agent_reconnection_time', stabilityOption, toleranceOption],
  removeOption,
]);

type Options = ReadonlyMap<string, BlockValue>;

/** Stock has no default for it and stops with the bare name of the option. */
function disabledOf(options: Options): boolean {
  const text = textOf(options, 'haproxy_disabled');
  if (text === 'yes' || text === 'no') return text === 'yes';
  throw invalid(
    text === undefined
      ? "HAProxy Helper haproxy_disabled is missing. Valid values are 'yes' and 'no'."
      : "Detected an invalid value for the disabled tag 'haproxy_disabled'. " +
          "Valid values are 'yes' and 'no'.",
  );
}

function protocolOf(options: Options, certificate: string | undefined): HaproxyHelper['protocol'] {
  const text = textOf(options, 'haproxy_protocol') ?? 'http';
  if (text.toLowerCase() === 'https' && certificate === undefined) {
    throw new ConfigError(
      'config_invalid',
      'Error 3042 - User configuration is not valid: ' +
        'HAProxy certificate file required in the haproxy_cert parameter',
    );
  }
  if (text === 'http' || text === 'https') return text;
  throw wrongValue('haproxy_protocol', `${quoted(text)} is not one of ['http', 'https']`);
}

function toleranceOf(options: Options): number {
  const text = textOf(options, toleranceOption);
  if (text === undefined) return 0.1;
  if (!/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(text)) {
    throw invalid(`HAProxy Helper ${toleranceOption} must be a float.`);
  }
  const value = Number(text);
  const shown = Number.isInteger(value) ? `${value}.0` : `${value}`;
  if (value > 1) throw wrongValue(toleranceOption, `${shown} is greater than the maximum of 1`);
  if (value > 0) return value;
  throw wrongValue(toleranceOption, `${shown} is less than or equal to the minimum of 0`);
}

function integer(options: Options, name: string, { fallback, least, most }: Range): number {
  const text = textOf(options, name);
  if (text === undefined) return fallback;
  const isWhole = /^\s*[+-]?\d{1,15}\s*$/.test(text);
  if (!isWhole) throw invalid(`HAProxy Helper ${name} must be an integer.`);
  const value = Number(text);
  if (value < least) throw wrongValue(name, `${value} is less than the minimum of ${least}`);
  if (most === undefined || value <= most) return value;
  throw wrongValue(name, `${value} is greater than the maximum of ${most}`);
}

/** Whoever uses the helper needs these; a disabled one may leave them out. */
function required(options: Options, name: string, word: string, isDisabled: boolean): string {
  const text = optional(options, name);
  if (text === undefined && !isDisabled) {
    throw invalid(`HAProxy ${word} is missing in the configuration`);
  }
  return text ?? '';
}

/** Empty is unset. */
function optional(options: Options, name: string): string | undefined {
  const text = textOf(options, name);
  return text === '' ? undefined : text;
}

function listOf(options: Options, name: string): readonly string[] {
  const parts = (textOf(options, name) ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '');
}

function textOf(options: Options, name: string): string | undefined {
  const value = options.get(name);
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(`HAProxy Helper ${name} must be one text.`);
}

function quoted(text: string): string {
  return `'${text.slice(0, 80)}'`;
}

function noSection(): ConfigError {
  return invalid('haproxy_helper must hold options. haproxy_disabled is missing.');
}

function wrongValue(name: string, what: string): ConfigError {
  return invalid(`Invalid value for ${name}. ${what}`);
}

function invalid(text: string): ConfigError {
  const message = `Error 3004 - Error in cluster configuration: ${text}`;
  return new ConfigError('config_invalid', message);
}

/** As `get_config` shows it: stock's names, `haproxy_cert` true where none is set. */
export function haproxyHelperJson(helper: HaproxyHelper): Readonly<Record<string, unknown>> {
  return {
    haproxy_disabled: helper.disabled,
    haproxy_address: helper.address,
    haproxy_port: helper.port,
    haproxy_protocol: helper.protocol,
    haproxy_user: helper.user,
    haproxy_password: helper.password,
    haproxy_backend: helper.backend,
    haproxy_resolver: helper.resolver ?? null,
    haproxy_cert: helper.certificate ?? true,
    client_cert: helper.clientCertificate ?? null,
    client_cert_key: helper.clientKey ?? null,
    client_cert_password: helper.clientKeyPassword ?? null,
    excluded_nodes: helper.excludedNodes,
    frequency: helper.everyS,
    agent_chunk_size: helper.agentChunkSize,
    agent_reconnection_time: helper.reconnectionS,
    [stabilityOption]: helper.stabilityS,
    [toleranceOption]: helper.imbalanceTolerance,
    [removeOption]: helper.removeDisconnectedAfterMin,
  };
}
