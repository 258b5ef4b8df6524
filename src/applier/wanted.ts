/**
 * From a verified list and an asked order to the entries of ossec.conf. The asker chooses among
 * proven managers, nothing else; tuning comes from our configuration first, then from the list.
 */
import type { EditWish, Tuning, WantedServer } from '../agent-config/wish.ts';
import { ListError } from '../errors.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import { relayProtocolOf } from '../list/relay-protocol.ts';
import type { ApplyRequest, RelayAddress } from './request.ts';
import type { ApplierSettings } from './settings.ts';

/** The relay's entry costs an agent one second when the sidecar is dead (real-agent-lab.md 9). */
const relayTuning = { maxRetries: 1, retryInterval: 1 } as const;

/** Throws ListError `order_not_allowed` that names what was asked beyond the list. */
export function chooseServers(
  list: ManagerList,
  request: Pick<ApplyRequest, 'order' | 'relay'>,
  settings: Pick<ApplierSettings, 'mode' | 'minServers'>,
): readonly WantedServer[] {
  const managers = request.order.map((id) => findManager(list, id));
  if (new Set(request.order).size !== managers.length) {
    throw notAllowed('the order names a manager twice');
  }
  const least = Math.max(1, Math.min(settings.minServers, list.managers.length));
  if (managers.length < least) {
    throw notAllowed(`the order names ${managers.length} managers, at least ${least} must stay`);
  }
  return [...relayEntry(request.relay, list, settings), ...managers.map(entryOf)];
}

function findManager(list: ManagerList, id: string): Manager {
  const manager = list.managers.find((one) => one.id === id);
  if (manager !== undefined) return manager;
  throw notAllowed(`'${id}' is not a manager of list version ${list.version}`);
}

function entryOf({ address, port, protocol }: Manager): WantedServer {
  return { address, port, protocol };
}

function relayEntry(
  relay: RelayAddress | undefined,
  { managers }: ManagerList,
  settings: Pick<ApplierSettings, 'mode'>,
): readonly WantedServer[] {
  if (relay === undefined) return [];
  if (settings.mode !== 'relay') throw notAllowed(`a relay was asked for in mode ${settings.mode}`);
  return [{ ...relay, protocol: relayProtocolOf(managers), ...relayTuning }];
}

/** The whole wish for the editor. `present` are the addresses that the file names now. */
export function makeWish(
  list: ManagerList,
  servers: readonly WantedServer[],
  settings: ApplierSettings,
  context: { readonly agentVersion: string | undefined; readonly present: readonly string[] },
): EditWish {
  const { agentVersion } = context;
  const retarget = settings.retargetEnrollment ? retargetOf(list, servers, context.present) : {};
  return {
    servers,
    tuning: tuningOf(list, settings),
    ...(agentVersion === undefined ? {} : { agentVersion }),
    ...retarget,
  };
}

function tuningOf(list: ManagerList, settings: ApplierSettings): Tuning {
  const { client } = list;
  const chosen = {
    maxRetries: settings.maxRetries ?? client.maxRetries,
    retryInterval: settings.retryInterval ?? client.retryInterval,
    notifyTime: settings.notifyTime ?? client.notifyTime,
    timeReconnect: settings.timeReconnect ?? client.timeReconnect,
  };
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
}

/** Managers that stand in the file but no longer in the list take enrollment with them. */
function retargetOf(
  list: ManagerList,
  servers: readonly WantedServer[],
  present: readonly string[],
): Pick<EditWish, 'retargetEnrollment'> {
  const known = new Set(list.managers.map(({ address }) => address.toLowerCase()));
  const gone = present.filter((address) => !known.has(address.toLowerCase()));
  const to = servers.find(({ address }) => known.has(address.toLowerCase()))?.address;
  return to === undefined || gone.length === 0 ? {} : { retargetEnrollment: { gone, to } };
}

function notAllowed(what: string): ListError {
  return new ListError('order_not_allowed', what);
}
