import { ThvError } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, numberOption, textOption } from '../options.ts'
import type { ListenTarget } from '../api/listener.ts'

const defaultPort = 8080

/** `thv serve`: the API, until a signal ends it. */
export async function serveCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const targets = readTargets(input)
  const { serveApi } = await import('../api/serve-api.ts')
  await serveApi(context, { targets, withDocument: flagOption(input, 'openapi') })
}

/** A socket replaces the port, unless a host or a port is given too. */
function readTargets(input: CommandInput): ListenTarget[] {
  const host = textOption(input, 'host')
  const port = numberOption(input, 'port', { flag: '--port', min: 0, max: 65_535 })
  const socket = textOption(input, 'socket')
  const tcp = { host: host ?? '127.0.0.1', port: port ?? defaultPort }
  if (socket === undefined) return [tcp]
  if (!socket.startsWith('/')) {
    throw new ThvError('invalid-argument', `the socket '${socket}' is not an absolute path`, {
      hint: 'write --socket /path/to/thv.sock; named pipes are not supported',
    })
  }
  return host === undefined && port === undefined ? [{ socket }] : [tcp, { socket }]
}
