/**
 * The value of a YAML document; `null` for an empty one.
 *
 * @throws {YamlSyntaxError} if the text is not one valid document.
 */
export function parse(content: string): unknown;
