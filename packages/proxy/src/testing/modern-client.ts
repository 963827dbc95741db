import { bothTypes, EventReader, openResponse, post, type TestResponse } from './http-client.ts'
import type { Wire } from './scripted-server.ts'

export const modernVersion = '2026-07-28'

/** The envelope of a test client. */
export function envelopeOf(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    'io.modelcontextprotocol/protocolVersion': modernVersion,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '0' },
    'io.modelcontextprotocol/clientCapabilities': {},
    ...more,
  }
}

/** A request with an envelope. */
export function modernRequest(method: string, params: Record<string, unknown> = {}, id: string | number = 1): Wire {
  const { _meta = {}, ...rest } = params
  return {
    jsonrpc: '2.0',
    id,
    method,
    params: { ...rest, _meta: { ...envelopeOf(), ...(typeof _meta === 'object' ? _meta : {}) } },
  }
}

/** POSTs a request of a Modern client with the headers it needs. */
export function postModern(
  port: number,
  message: Wire,
  headers: Record<string, string> = {},
): Promise<TestResponse & { json: Wire }> {
  return post(port, message, { ...headersOf(message), ...headers })
}

/** POSTs a request whose answer is read event by event. */
export async function callModern(port: number, message: Wire): Promise<EventReader> {
  return new EventReader(
    await openResponse({
      port,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: bothTypes, ...headersOf(message) },
      body: JSON.stringify(message),
    }),
  )
}

function headersOf({ method = '', params }: Wire): Record<string, string> {
  const name = params?.['name'] ?? params?.['uri']
  return {
    'mcp-protocol-version': modernVersion,
    'mcp-method': method,
    ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
  }
}
