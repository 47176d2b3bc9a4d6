/**
 * Writes `operations/dashboard/page.ts` from `page.html` beside it: `deno task embed-page`. A module that is imported by URL
 * can read no file, and Node imports no text.
 *
 * @module
 */

const FOLDER = new URL("../operations/dashboard/", import.meta.url);

/** The module with a page's text. */
export function moduleOf(page: string): string {
  return `/**
 * The page of the dashboard. \`deno task embed-page\` writes this file from \`page.html\`; change that one.
 *
 * @module
 */

/** The text of the page. */
export const PAGE: string =
  ${JSON.stringify(page)};
`;
}

if (import.meta.main) {
  const page = await Deno.readTextFile(new URL("page.html", FOLDER));
  await Deno.writeTextFile(new URL("page.ts", FOLDER), moduleOf(page));
}
