/** Who reaches whom now. Faults overlap, so every bar is counted, not flagged. */

/** How a manager looks to one network. */
export const condition = { alive: 0, refused: 1, hung: 2, gone: 3 } as const;

export class Network {
  readonly sites: number;
  readonly managers: number;
  readonly crashed: Uint8Array;
  readonly hung: Uint8Array;
  readonly gone: Uint8Array;
  readonly cut: Uint8Array;
  readonly delayed: Uint8Array;
  /** Packet loss by site. */
  readonly loss: Float64Array;
  readonly publisherCut: Uint8Array;
  /** Connections that the kernel of a hung manager took in: they stay there, even when closed. */
  readonly backlog: Uint32Array;
  /** By (site, manager): since when probes from there are answered, or not. */
  readonly sinceMs: Float64Array;
  publisherDown = 0;

  constructor(sites: number, managers: number) {
    this.sites = sites;
    this.managers = managers;
    this.crashed = new Uint8Array(managers);
    this.hung = new Uint8Array(managers);
    this.gone = new Uint8Array(managers);
    this.cut = new Uint8Array(sites * managers);
    this.delayed = new Uint8Array(sites * managers);
    this.loss = new Float64Array(sites);
    this.publisherCut = new Uint8Array(sites);
    this.backlog = new Uint32Array(managers);
    this.sinceMs = new Float64Array(sites * managers).fill(Number.NEGATIVE_INFINITY);
  }

  at(site: number, manager: number): number {
    if (manager < 0) return condition.refused;
    if ((this.cut[site * this.managers + manager] ?? 0) > 0) return condition.gone;
    return this.ofManager(manager);
  }

  /** As its own machine has it. */
  ofManager(manager: number): number {
    if ((this.gone[manager] ?? 0) > 0) return condition.gone;
    if ((this.crashed[manager] ?? 0) > 0) return condition.refused;
    return (this.hung[manager] ?? 0) > 0 ? condition.hung : condition.alive;
  }

  /** Would a probe from there be answered in time, if no packet is lost? */
  answersProbes(site: number, manager: number): boolean {
    const isLate = (this.delayed[site * this.managers + manager] ?? 0) > 0;
    return !isLate && this.at(site, manager) === condition.alive;
  }

  reachesPublisher(site: number): boolean {
    return this.publisherDown === 0 && (this.publisherCut[site] ?? 0) === 0;
  }

  /** Conditions of every (site, manager), probes included, to see what a fault changed. */
  snapshot(): Uint8Array {
    const all = new Uint8Array(this.sites * this.managers);
    for (let site = 0; site < this.sites; site += 1) {
      for (let manager = 0; manager < this.managers; manager += 1) {
        const isLate = (this.delayed[site * this.managers + manager] ?? 0) > 0 ? 4 : 0;
        all[site * this.managers + manager] = this.at(site, manager) | isLate;
      }
    }
    return all;
  }
}
