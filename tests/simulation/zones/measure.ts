/**
 * Measures what members that gossip near first send across zones: `deno task simulate --zones 2,3` prints the table of
 * `docs/members.md`.
 *
 * @module
 */

import { ZoneCluster, type ZoneClusterOptions } from "./zone_cluster.ts";

/** The members of all zones together. */
const MEMBERS = 24;
const MINUTE_MS = 60_000;
/** The changes of a busy minute, each by another member. */
export const CHANGES = 20;
/** The value of a change. */
const VALUE = "x".repeat(100);

/** One measured cluster; times in milliseconds. */
export interface ZoneFigures {
  /** Bytes across zones in a minute without a change, and in one with twenty changes. */
  readonly idleBytes: number;
  readonly busyBytes: number;
  /** All bytes in these minutes. */
  readonly allIdleBytes: number;
  readonly allBusyBytes: number;
  /** The time from a change until all have it, and until all know that all agree. */
  readonly spreadMs: readonly number[];
  readonly confirmedMs: readonly number[];
  /** The time from the end of a process until all others have blocked it. */
  readonly crashedMs: number;
  readonly falseBlocks: number;
}

/** Measures one cluster. */
export async function measureZoneCluster(options: ZoneClusterOptions): Promise<ZoneFigures> {
  const cluster = new ZoneCluster(options);
  await cluster.start();
  const { runtime, members } = cluster;
  const bytesOf = async (action: () => Promise<unknown>) => {
    const [far, all] = [cluster.farBytes, cluster.bytes];
    await action();
    return [cluster.farBytes - far, cluster.bytes - all] as const;
  };
  const [idleBytes, allIdleBytes] = await bytesOf(() => runtime.advance(MINUTE_MS));
  const spreadMs: number[] = [];
  const confirmedMs: number[] = [];
  const [busyBytes, allBusyBytes] = await bytesOf(async () => {
    for (let change = 0; change < CHANGES; change++) {
      const startMs = runtime.monotonicMs();
      // Between two rounds, at any distance from them.
      await runtime.advance(300 * (change + 0.5) / CHANGES);
      const owner = members[(change * 7) % members.length]!;
      owner.process.gossiper.setState("k", [change, VALUE]);
      const hasIt = () =>
        members.every(({ process }) =>
          (process.gossiper.getState<[number, string]>("k").get(owner.id)?.value[0] ?? -1) === change
        );
      spreadMs.push(await cluster.until(hasIt));
      confirmedMs.push(spreadMs.at(-1)! + await cluster.until(() => cluster.isConfirmed));
      await runtime.advance(startMs + MINUTE_MS / CHANGES - runtime.monotonicMs());
    }
  });
  const victim = members[3]!;
  cluster.kill(victim);
  const crashedMs = await cluster.until(() =>
    members.every(({ process }) => process.gossiper.blockedMembers.some(({ id }) => id === victim.id))
  );
  const { falseBlocks } = cluster;
  await cluster.end();
  return {
    idleBytes,
    busyBytes,
    allIdleBytes,
    allBusyBytes,
    spreadMs,
    confirmedMs,
    crashedMs,
    falseBlocks,
  };
}

/** Prints a table: each number of zones, without and with `nearFirst`. */
export async function measureZones(
  { zones, seed, loss }: { readonly zones: readonly number[]; readonly seed: number; readonly loss: number },
): Promise<void> {
  console.log(`${MEMBERS} members, seed ${seed}, ${100 * loss} % of the messages across zones are lost\n`);
  console.log(
    row([
      "zones",
      "near first",
      "KiB a minute",
      "KiB a change",
      "in all: a minute",
      "a change",
      "all have it",
      "confirmed",
      "crashed",
    ]),
  );
  for (const count of zones) {
    const sizes = Array<number>(count).fill(MEMBERS / count);
    for (const nearFirst of [false, true]) {
      const figures = await measureZoneCluster({ seed, sizes, nearFirst, loss });
      const kib = (bytes: number) => (bytes / 1_024).toFixed(1);
      console.log(
        row([
          `${count}`,
          nearFirst ? "yes" : "no",
          kib(figures.idleBytes),
          kib((figures.busyBytes - figures.idleBytes) / CHANGES),
          kib(figures.allIdleBytes),
          kib((figures.allBusyBytes - figures.allIdleBytes) / CHANGES),
          medianAndWorst(figures.spreadMs),
          medianAndWorst(figures.confirmedMs),
          `${figures.crashedMs}`,
        ]) + (figures.falseBlocks > 0 ? `  ${figures.falseBlocks} false blocks` : ""),
      );
    }
  }
}

function medianAndWorst(times: readonly number[]): string {
  const sorted = times.toSorted((one, other) => one - other);
  return `${sorted[Math.floor(sorted.length / 2)]} / ${sorted.at(-1)}`;
}

function row(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(17)).join("");
}
