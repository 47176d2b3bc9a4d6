/** Turns the colors of all functions on or off. */
export function setColorEnabled(value: boolean): void;
/** The text in bold. */
export function bold(text: string): string;
/** The text in a fainter color. */
export function dim(text: string): string;
/** The text in blue. */
export function blue(text: string): string;
/** The text in cyan. */
export function cyan(text: string): string;
/** The text in green. */
export function green(text: string): string;
/** The text in magenta. */
export function magenta(text: string): string;
/** The text in red. */
export function red(text: string): string;
/** The text in yellow. */
export function yellow(text: string): string;
