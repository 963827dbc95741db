import type { Explanation } from '@thv/core'
import { openActions } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { textOption } from '../options.ts'
import { cardLine } from '../output/card-line.ts'
import { decorateStatus } from '../output/decorate-status.ts'
import { goTime } from '../output/go-time.ts'
import { printable } from '../output/style.ts'

/** `thv explain NAME`: the chain of causes, what probes found, and what to do. Reads only. */
export async function explainCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const actions = await openActions(context, input)
  const explanation = await actions.explain(input.args[0] ?? '', context.signal)
  if (textOption(input, 'format') === 'json') context.output.json(explanation)
  else for (const line of textOf(explanation)) context.output.line(printable(line))
}

function textOf({
  name,
  status,
  reason,
  causes,
  probes,
  server_card,
  last_stderr,
  todo,
  supervisor_pid: pid,
}: Explanation): string[] {
  const lines = [`${name}: ${decorateStatus(status)} (${reason})`, '', 'Why:']
  for (const { at, message } of causes) lines.push(`  - ${at === undefined ? '' : `${goTime(at)}: `}${message}`)
  if (server_card !== undefined) lines.push('', `The server says it is ${cardLine(server_card)}`)
  if (probes.length > 0) lines.push('', 'Probes:')
  for (const [index, { reason: found, since, count }] of probes.entries()) {
    // The count of the last run stands in the file as it was when that run began.
    const last = pid === undefined ? '' : ' until now'
    lines.push(`  ${goTime(since)}  ${found}${index === probes.length - 1 ? last : ` x${count}`}`)
  }
  if (last_stderr !== undefined && status !== 'running') {
    lines.push('', 'Last stderr:', ...last_stderr.map((line) => `  | ${line}`))
  }
  lines.push('', todo === '' ? 'Nothing needs to be done.' : `To do: ${todo}.`)
  return lines
}
