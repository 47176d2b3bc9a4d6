import type { Gossiper } from "../../gossiper/gossiper.ts";
import { type Messages, messagesOf } from "../../messages/messages.ts";
import { TestCluster, type TestClusterOptions } from "../requirements/harness.ts";

/** A cluster whose members all use messages, and are all connected. */
export async function talking(
  ids: readonly string[],
  options: TestClusterOptions = {},
): Promise<{ readonly cluster: TestCluster; readonly of: (id: string) => Messages }> {
  const cluster = await TestCluster.started(ids, options);
  const of = (id: string) => messagesOf(cluster.of(id).gossiper);
  for (const id of ids) of(id);
  await cluster.runUntil(() =>
    cluster.isConfirmed() && ids.every((id) => isConnected(cluster.of(id).gossiper))
  );
  await cluster.advance(2_000);
  return { cluster, of };
}

function isConnected(gossiper: Gossiper): boolean {
  return gossiper.members.every(({ id, isSelf }) => isSelf || gossiper.explain(id).isConnected);
}

/** The messages of a topic that a member has received so far; the list grows. */
export function collect<T = unknown>(messages: Messages, topic: string): { payload: T; memberId: string }[] {
  const all: { payload: T; memberId: string }[] = [];
  messages.onMessage<T>(topic, ({ payload, memberId }) => void all.push({ payload, memberId }));
  return all;
}
