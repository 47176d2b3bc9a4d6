/**
 * The limits of a dashboard's data: a cluster of any size makes a document that a browser can show.
 *
 * @module
 */

/** The most members in one document. 1,000: above, the page would take more than a second to draw. */
export const MAX_MEMBERS = 1_000;
/** The most keys in one document. */
export const MAX_KEYS = 200;
/** The entries that the keys of a document share equally. With `MIN_ENTRIES_PER_KEY`, 200 keys may have 1,000. */
export const MAX_ENTRIES = 500;
/** The entries that each key has in a document with any number of keys, or fewer if the key has fewer. */
export const MIN_ENTRIES_PER_KEY = 5;
/** The values of a key that the page shows until a click. With more of them, rare values come first. */
export const VALUES_SHOWN_AT_FIRST = 10;
/** The most entries that one search reads, so that a state of millions of entries does not stop the member. */
export const MAX_SCANNED = 20_000;
/** The longest id, key and address, in UTF-16 units. */
export const MAX_ID_LENGTH = 200;
/**
 * The longest name of a member or key in a question: a shown text whose units are all escaped, with the mark of a cut.
 */
export const MAX_NAME_LENGTH: number = 6 * MAX_ID_LENGTH + 1;
/** The most addresses of the discovery in one explanation. */
export const MAX_SEEDS = 50;
/** The most members in one answer that lack a value. */
export const MAX_LACKING = 50;
/** The longest text of a value, in UTF-16 units. */
export const MAX_VALUE_LENGTH = 300;
/** The part of a value that a search reads, in UTF-16 units. */
export const MAX_SEARCHED_LENGTH = 1_000;
/** The longest text to search for, in UTF-16 units. */
export const MAX_SEARCH_LENGTH = 100;
/** The most members whose ids are hashed to verify another member's view. */
export const MAX_HASHED_MEMBERS = 1_000;
/** The most views that one document verifies by a hash of their own. 4: most views differ only for a moment. */
export const MAX_HASHED_VIEWS = 4;
