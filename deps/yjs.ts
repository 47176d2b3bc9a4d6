/**
 * Yjs, for tests. The product imports no copy of Yjs: a program passes its own copy.
 *
 * @module
 */

export { applyAwarenessUpdate, Awareness, removeAwarenessStates } from "npm:y-protocols@1.0.7/awareness";
export * as protocol from "npm:y-protocols@1.0.7/awareness";
export { Doc } from "npm:yjs@13.6.33";
