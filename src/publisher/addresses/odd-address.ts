/**
 * Addresses that a host has and that nobody else can dial, or only by accident: what discovery must
 * never advertise, and what an operator rarely means. Pure.
 */
import { parseAddress } from '../../list/address.ts';
import { isInside } from '../../list/cidr.ts';

const odd: readonly (readonly [cidr: string, what: string])[] = [
  ['127.0.0.0/8', 'a loopback address'],
  ['::1/128', 'a loopback address'],
  ['0.0.0.0/8', 'no address of a host'],
  ['::/128', 'no address of a host'],
  ['169.254.0.0/16', 'a link-local address'],
  ['fe80::/10', 'a link-local address'],
  ['224.0.0.0/3', 'a multicast or reserved address'],
  ['ff00::/8', 'a multicast address'],
  // RFC 6598: behind the NAT of a carrier; overlay VPNs hand it out, too.
  ['100.64.0.0/10', 'an address of carrier NAT or of an overlay network (100.64.0.0/10)'],
  ['172.17.0.0/16', 'in the network of the default container bridge (172.17.0.0/16)'],
  ['10.88.0.0/16', 'in the network of the default container bridge (10.88.0.0/16)'],
  ['10.244.0.0/16', 'in the default overlay network of pods (10.244.0.0/16)'],
  ['10.42.0.0/16', 'in the default overlay network of pods (10.42.0.0/16)'],
];

/** What is odd about it: `a loopback address`; undefined for a name and for any other address. */
export function oddAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined || address.kind === 'name') return undefined;
  return odd.find(([cidr]) => isInside(address, cidr))?.[1];
}

/** Interfaces of bridges, containers, tunnels and overlays, by the names that their makers give. */
const inner =
  /^(?:lo\d*$|docker|br-|veth|virbr|lxc|lxdbr|podman|cni|flannel|cali|cilium|kube|vxlan|geneve|weave|antrea|ovn|tun|tap|wg|utun|tailscale|zt|nebula|ipsec|gre|sit|ip6tnl)/;

export function isInnerInterface(name: string): boolean {
  return inner.test(name);
}
