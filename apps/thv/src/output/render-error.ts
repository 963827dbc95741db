import { isThvError, messageOf } from '@thv/core'
import { printable } from './style.ts'

/** What the user sees of an error: what happened and its code, captured output, what to do. */
export function renderError(error: unknown, debug: boolean): string {
  const lines: string[] = []
  if (isThvError(error)) {
    lines.push(`Error: ${printable(error.message)} [${error.code}]`)
    if (error.detail.length > 0) lines.push(...error.detail.map((line) => `  | ${printable(line)}`))
    if (error.hint !== undefined) lines.push(`Try: ${printable(error.hint)}`)
  } else {
    lines.push(`Error: ${printable(messageOf(error))} [internal]`)
    lines.push('Try: run it again with --debug, and report what it prints')
  }
  if (debug && error instanceof Error) {
    lines.push(error.stack ?? '')
    if (error.cause !== undefined) lines.push(`caused by: ${messageOf(error.cause)}`)
  }
  return lines.join('\n')
}
