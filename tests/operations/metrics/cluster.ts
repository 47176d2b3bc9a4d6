/**
 * Clusters in virtual time whose members have meters.
 *
 * @module
 */

import { MemberMeters, metrics } from "../../../operations/metrics/mod.ts";
import { TestCluster, type TestClusterOptions } from "../../requirements/harness.ts";
import { valueIn } from "./text.ts";

/** A cluster, and the meters of each member by id. */
export class MeteredCluster implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly meters: ReadonlyMap<string, MemberMeters>;

  private constructor(cluster: TestCluster, meters: ReadonlyMap<string, MemberMeters>) {
    this.cluster = cluster;
    this.meters = meters;
  }

  /** Starts all members at one time. */
  static async started(ids: readonly string[], options: TestClusterOptions = {}): Promise<MeteredCluster> {
    const cluster = new TestCluster(ids, options);
    const meters = new Map(ids.map((id) => [id, new MemberMeters()]));
    for (const id of ids) cluster.make(id, { cluster: { meters: meters.get(id)! } });
    for (const id of ids) await cluster.of(id).gossiper.start();
    return new MeteredCluster(cluster, meters);
  }

  /** The metrics of a member as text. */
  text(id: string): string {
    return metrics(this.meters.get(id)!);
  }

  /** The value of a series of a member. */
  value(id: string, series: string): number {
    return valueIn(this.text(id), series);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cluster[Symbol.asyncDispose]();
  }
}
