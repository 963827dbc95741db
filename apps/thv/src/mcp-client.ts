import { Client } from '@modelcontextprotocol/client'
import { SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { getWorkload, messageOf, parseGoDuration, ThvError, withTimeLimit } from '@thv/core'
import { buildInfo } from './build-info.ts'
import type { CommandContext, CommandInput } from './command.ts'
import { textOption } from './options.ts'

/** A connection to one MCP endpoint for one command. */
export interface McpSession {
  client: Client
  /** For every request: the library's own limit is not the user's. */
  options: { signal: AbortSignal; timeout: number }
}

/** Connects to `--server`, runs the action, and disconnects. `mcp-unreachable` when nobody answers. */
export async function withMcpSession<T>(
  context: CommandContext,
  input: CommandInput,
  action: (session: McpSession) => Promise<T>,
): Promise<T> {
  const timeout = textOption(input, 'timeout') ?? '30s'
  const timeoutMs = parseGoDuration(timeout)
  const signal = withTimeLimit(context.signal, timeoutMs)
  const endpoint = await resolveEndpoint(context, input)
  const client = new Client({ name: 'thv', version: buildInfo.version }, { capabilities: {} })
  try {
    await client.connect(openTransport(endpoint), { signal, timeout: timeoutMs + signalFirstMs })
  } catch (error) {
    context.signal.throwIfAborted()
    if (signal.aborted) throw tooSlow(endpoint, timeout, error)
    throw new ThvError('mcp-unreachable', `no MCP server answers at ${endpoint.url.href}: ${sentenceOf(error)}`, {
      hint: "check the address, or see 'thv list' for what runs",
      cause: error,
    })
  }
  try {
    return await action({ client, options: { signal, timeout: timeoutMs + signalFirstMs } })
  } catch (error) {
    context.signal.throwIfAborted()
    if (signal.aborted) throw tooSlow(endpoint, timeout, error)
    throw error
  } finally {
    await client.close()
  }
}

/** So much later than our signal the library's own limit comes, which has other words. */
const signalFirstMs = 5000

function tooSlow({ url }: Endpoint, timeout: string, cause: unknown): ThvError {
  return new ThvError('mcp-unreachable', `${url.href} has not answered within ${timeout}`, {
    hint: 'give it more time with --timeout, for example --timeout 2m',
    cause,
  })
}

/** What an error of the library says, without the JSON-RPC message or the page that it quotes. */
export function sentenceOf(error: unknown): string {
  const text = messageOf(error)
  const quoted = /"message"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text)?.[1]
  if (quoted !== undefined && text.includes('"jsonrpc"')) {
    const said: unknown = JSON.parse(quoted)
    if (typeof said === 'string' && said !== '') return said
  }
  const [line = ''] = text.split('\n', 1)
  return line.length > 300 ? `${line.slice(0, 297)}...` : line
}

interface Endpoint {
  url: URL
  sse: boolean
}

async function resolveEndpoint(context: CommandContext, input: CommandInput): Promise<Endpoint> {
  const server = textOption(input, 'server')
  if (server === undefined) {
    throw new ThvError('invalid-argument', 'no server is given', { hint: 'add --server NAME or --server URL' })
  }
  const text = /^https?:\/\//.test(server) ? server : await urlOf(context, server)
  const url = parseUrl(text)
  const transport = textOption(input, 'transport') ?? 'auto'
  const looksSse = url.pathname.endsWith('/sse')
  url.hash = ''
  return { url, sse: transport === 'sse' || (transport === 'auto' && looksSse) }
}

async function urlOf(context: CommandContext, name: string): Promise<string> {
  const workload = await getWorkload(await context.container.reading(), name)
  if (workload.status === 'running') return workload.url
  throw new ThvError('mcp-unreachable', `'${name}' is ${workload.status}, not running`, {
    hint: workload.status === 'stopped' ? `start it with 'thv start ${name}'` : `see 'thv explain ${name}'`,
  })
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch (error) {
    throw new ThvError('invalid-argument', `'${text}' is not a URL`, {
      hint: 'write http://127.0.0.1:PORT/mcp or a workload name',
      cause: error,
    })
  }
}

function openTransport({ url, sse }: Endpoint) {
  return sse ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url)
}
