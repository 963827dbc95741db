import { openActions } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'

/** `thv export NAME PATH`: the file can be given to `thv run --from-config`. */
export async function exportCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const [name = '', path = ''] = input.args
  const config = await (await openActions(context, input)).exportConfig(name, context.signal)
  await context.container.writeExport(path, `${JSON.stringify(config, null, 2)}\n`)
  const done = `Successfully exported run configuration for '${name}' to '${path}'`
  // Whoever writes to /dev/stdout wants the document there, and nothing else.
  if (/^\/(?:dev|proc)\//.test(path)) context.output.note(done)
  else context.output.line(done)
}
