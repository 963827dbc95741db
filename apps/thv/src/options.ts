import { ThvError } from '@thv/core'
import type { CommandInput } from './command.ts'

/** The value of a flag that takes one. */
export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name]
  return typeof value === 'string' ? value : undefined
}

/** Whether a flag without value was given. */
export function flagOption(input: CommandInput, name: string): boolean {
  return input.options[name] === true
}

/** All values of a repeatable flag. */
export function listOption(input: CommandInput, name: string): string[] {
  const value = input.options[name]
  return Array.isArray(value) ? value.map(String) : []
}

/** A whole number within bounds; `invalid-argument` otherwise. */
export function numberOption(
  input: CommandInput,
  name: string,
  bounds: { flag: string; min: number; max: number },
): number | undefined {
  const text = textOption(input, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= bounds.min && value <= bounds.max) return value
  throw new ThvError(
    'invalid-argument',
    `${bounds.flag} takes a whole number from ${bounds.min} to ${bounds.max}, not '${text}'`,
    {
      hint: 'give a number within these bounds',
    },
  )
}

/** A port number; 0 means "any free one", as ToolHive has it. */
export function portOption(input: CommandInput, name: string, flag: string): number | undefined {
  const port = numberOption(input, name, { flag, min: 0, max: 65_535 })
  return port === 0 ? undefined : port
}

/** A flag that may be followed by `=true` or `=false`, as Go writes it; undefined when it was not given. */
export function switchOption(input: CommandInput, name: string): boolean | undefined {
  const value = input.options[name]
  return value === undefined ? undefined : value === true || value === 'true'
}
