/**
 * The tokens of pages in a browser: a service makes them, and the page presents them.
 *
 * @module
 */

/**
 * The rights of a token's holder. `full`: the holder is a member like any other. `read`: the holder reads the state of
 * all members, and is no member itself.
 */
export type Access = "full" | "read";

/** Returns a new token for each dial, for example by a request to the page's own service. */
export type TokenSource = (options: {
  /** The URL that is dialed. */
  readonly address: string;
  /** The id that the token must name; `undefined` for the first token if no id was given. */
  readonly id: string | undefined;
  /** Aborted when the dial is given up. */
  readonly signal: AbortSignal;
}) => Promise<string>;
