/**
 * The maps of `@hearsay/gossip/maps` for Go members.
 *
 * @module
 */

import { ReportOnce } from "../common/report_once.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import type { MapSource } from "./transport/maps.ts";

/** Makes the source of a member's maps. A map that is too large for Go members is one event `ConflictDetected`. */
export function mapsOf(node: Gossiper): MapSource {
  const reported = new ReportOnce();
  return {
    stateOf: (id, incarnation) => {
      const { view } = insightOf(node).host;
      const version = view.versionOf(id);
      if (version?.incarnation !== incarnation) return undefined;
      return { number: version.number, entries: view.entriesOf(id) };
    },
    onTooLarge: ({ memberId, key }) => {
      if (!reported.claim(memberId, key)) return;
      node.events.publish({ type: "ConflictDetected", memberId, reason: "limit", key });
    },
  };
}
