/**
 * JSON Web Tokens. Loaded only if keys are used. On JSR: `jsr:@panva/jose`.
 *
 * @module
 */

export { SignJWT } from "npm:jose@6.2.3";
export type { JWTPayload } from "npm:jose@6.2.3";
