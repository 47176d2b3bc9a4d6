/** A text that is not one valid YAML document. */
export class YamlSyntaxError extends SyntaxError {
  /** The line, counted from 1. */
  readonly line: number;
  /** The column, counted from 1. */
  readonly column: number;
}
