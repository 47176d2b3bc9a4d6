/**
 * Canonical JSON (RFC 8785): equal values have equal text.
 *
 * @module
 */

export { default as canonicalize } from "npm:canonicalize@5.1.0";
