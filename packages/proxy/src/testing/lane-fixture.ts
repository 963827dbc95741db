import type { ProxyLimits } from '../limits.ts'
import type { FrontMode, ProxyConfig, ServerLane } from '../proxy-config.ts'
import { EventReader, openEvents, openResponse, post, bothTypes, type TestResponse } from './http-client.ts'
import { startWithServer, type ProxyFixture } from './proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer, type Wire } from './scripted-server.ts'

/** A server of one client, in this process. */
export interface ScriptedLane {
  server: ScriptedServer
  /** Whether the proxy has ended it. */
  isClosed: boolean
  /** Makes the end of it take for ever. */
  isStubborn: boolean
  /** The process ends by itself. */
  crash(reason?: string): void
}

/** A proxy whose lanes are scripted servers, in the order they were opened. */
export interface LaneFixture extends ProxyFixture {
  server: ScriptedServer
  lanes: ScriptedLane[]
  /** Called with each new lane before it is handed out; may throw, or take its time. */
  onOpen: (lane: ScriptedLane, signal: AbortSignal) => Promise<void> | void
}

/** Starts a proxy that can open lanes, with a shared server attached. */
export async function startWithLanes(
  options: { mode?: FrontMode; limits?: Partial<ProxyLimits>; config?: Partial<ProxyConfig> } = {},
): Promise<LaneFixture> {
  const lanes: ScriptedLane[] = []
  const openLane = async (signal: AbortSignal): Promise<ServerLane> => {
    const server = createScriptedServer()
    let end: (reason: string) => void = () => undefined
    const ended = new Promise<string>((resolve) => {
      end = resolve
    })
    const lane: ScriptedLane = {
      server,
      isClosed: false,
      isStubborn: false,
      crash: (reason = 'the server was killed by SIGKILL') => {
        server.die()
        end(reason)
      },
    }
    lanes.push(lane)
    await fixture.onOpen(lane, signal)
    const close = async (): Promise<void> => {
      lane.isClosed = true
      if (lane.isStubborn) await new Promise(() => undefined)
      end('ended')
    }
    return { input: server.input, output: server.output, ended, close }
  }
  const base = await startWithServer({ ...options, config: { ...options.config, openLane } })
  const fixture: LaneFixture = { ...base, lanes, onOpen: () => undefined }
  return fixture
}

/** A client that lets servers ask it something. */
export interface LaneClient {
  id: string
  headers: Record<string, string>
  /** The answer to `initialize`. */
  initialized: TestResponse & { json: Wire }
  post(message: Wire, headers?: Record<string, string>): Promise<TestResponse & { json: Wire }>
  /** Sends a call whose answer is read event by event. */
  call(message: Wire): Promise<EventReader>
  openStream(): Promise<EventReader>
  end(): Promise<void>
}

export const asking = { elicitation: {}, sampling: {}, roots: { listChanged: true } }

/** Initialises a session with a lane. */
export async function connectAsking(port: number, capabilities: Record<string, unknown> = asking): Promise<LaneClient> {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '0' } }
  const initialized = await post(port, { id: 0, method: 'initialize', params })
  const id = String(initialized.headers['mcp-session-id'])
  const headers = { 'mcp-session-id': id }
  await post(port, { method: 'notifications/initialized' }, headers)
  return {
    id,
    headers,
    initialized,
    post: (message, more) => post(port, message, { ...headers, ...more }),
    call: async (message) =>
      new EventReader(
        await openResponse({
          port,
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: bothTypes, ...headers },
          body: JSON.stringify({ jsonrpc: '2.0', ...message }),
        }),
      ),
    openStream: () => openEvents(port, '/mcp', headers),
    end: async () => {
      const response = await openResponse({ port, method: 'DELETE', headers })
      response.resume()
    },
  }
}
