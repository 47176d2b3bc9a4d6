/**
 * JSON Web Tokens. Loaded by those who use keys, and by nobody else.
 *
 * @module
 */

export { SignJWT } from "npm:jose@6.2.3";
export type { JWTPayload } from "npm:jose@6.2.3";
