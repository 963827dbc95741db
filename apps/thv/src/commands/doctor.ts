import type { CommandContext, CommandInput } from '../command.ts'
import { runChecks, type Check } from '../doctor-checks.ts'
import { textOption } from '../options.ts'
import { printable, type Tone } from '../output/style.ts'

const marks: Record<Check['status'], { mark: string; tone: Tone }> = {
  ok: { mark: 'ok', tone: 'green' },
  missing: { mark: 'missing', tone: 'yellow' },
  broken: { mark: 'broken', tone: 'red' },
}

/** `thv doctor`: exits 1 only when something thv cannot do without is broken. */
export async function doctorCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const checks = await runChecks(context.container, context.signal)
  if (textOption(input, 'format') === 'json') {
    output.json(checks)
  } else {
    for (const check of checks) {
      const { mark, tone } = marks[check.status]
      output.line(`${output.paint(mark.padEnd(8), tone)} ${check.name.padEnd(18)} ${printable(check.detail)}`)
      if (check.fix !== undefined) output.line(`${' '.repeat(9)}${' '.repeat(18)} fix: ${printable(check.fix)}`)
    }
  }
  return checks.some((check) => check.status === 'broken') ? 1 : 0
}
