import { evaluateServer, startServer, stopServer, type ServerEvaluation } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { textOption } from '../options.ts'
import { printable } from '../output/style.ts'
import { readServerTarget } from './serve.ts'

/** `thv server start`: nothing to do when one runs. */
export async function serverStartCommand(
  { container, output, signal }: CommandContext,
  input: CommandInput,
): Promise<void> {
  const target = readServerTarget(input)
  const { record, isNew } = await startServer(await container.serverControl(), target, signal)
  const where = `${printable(record.url)} (PID ${record.pid})`
  output.line(isNew ? `The API server runs at ${where}` : `The API server already runs at ${where}`)
  const isBound = target.port !== undefined || target.socket !== undefined
  if (isNew && !isBound && new URL(record.url).port !== '8080') {
    output.note('note: port 8080 is taken by another program, so it listens on another one')
  }
  if (!isNew && (isBound || target.host !== undefined || target.withDocument)) {
    output.note("note: the flags are for a new server; to have them, 'thv server stop' this one first")
  }
}

/** `thv server stop`: nothing to do when none runs. */
export async function serverStopCommand({ container, output, signal }: CommandContext): Promise<void> {
  const record = await stopServer(await container.serverControl(), signal)
  if (record === undefined) output.line('No API server runs')
  else output.line(`The API server at ${printable(record.url)} (PID ${record.pid}) was stopped`)
}

/** `thv server status`: 0 when it runs, 1 otherwise. */
export async function serverStatusCommand(
  { container, output, signal }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const found = await evaluateServer(await container.discovery(), signal)
  if (textOption(input, 'format') === 'json') output.json(toJson(found))
  else for (const line of toLines(found)) output.line(line)
  return found.state === 'running' ? 0 : 1
}

function toJson(found: ServerEvaluation): unknown {
  const reason = 'reason' in found ? found.reason : undefined
  if (!('record' in found)) return { state: found.state, reason }
  const { url, pid, started_at: started } = found.record
  return { state: found.state, url, pid, started, reason }
}

function toLines(found: ServerEvaluation): string[] {
  const pairs: [string, string | number | undefined][] = [['State', found.state]]
  if ('record' in found) {
    pairs.push(['URL', found.record.url], ['PID', found.record.pid], ['Started', found.record.started_at])
  }
  if ('reason' in found) pairs.push(['Reason', found.reason])
  return pairs.map(([key, value]) => `${`${key}:`.padEnd(8)} ${printable(String(value))}`)
}
