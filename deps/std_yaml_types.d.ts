/** The error for a text that is not one valid YAML document. */
export class YamlSyntaxError extends SyntaxError {
  /** The line, from 1. */
  readonly line: number;
  /** The column, from 1. */
  readonly column: number;
}
