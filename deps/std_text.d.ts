/** The number of characters to insert, remove or replace to make one string of the other. */
export function levenshteinDistance(str1: string, str2: string): number;
