/**
 * The parser of command lines. Loaded only by the command.
 *
 * @module
 */

export {
  type AddHelpTextContext,
  Command,
  CommanderError,
  Help,
  InvalidArgumentError,
  Option,
} from "npm:commander@15.1.0";
