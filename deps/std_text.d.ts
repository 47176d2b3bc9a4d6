/** The number of characters to insert, remove or replace to turn one string into the other. */
export function levenshteinDistance(str1: string, str2: string): number;
