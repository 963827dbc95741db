import fc from 'fast-check'
import { connect } from 'node:net'
import { expect } from 'vitest'
import type { ProxyFixture } from './proxy-fixture.ts'

/** The first seed finds the same things in every run, the second one new things; it is printed. */
export const seeds: readonly number[] = [20_261_121, Number(process.env['THV_FUZZ_SEED'] ?? Date.now() % 2 ** 31)]

/** What a mutated input and everything said about it carries. */
export interface FuzzInput {
  readonly number: number
  readonly bytes: Buffer
}

/** Pieces that mean something to one parser or another. */
export const httpPieces: readonly string[] = [
  '\r\n',
  '\n',
  '\r\n\r\n',
  '\0',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Connection: close\r\n',
  'Connection: content-length\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: h2c\r\n',
  'Host: evil\r\n',
  'Mcp-Session-Id: x\r\n',
  'MCP-Protocol-Version: 2026-07-28\r\n',
  '0\r\n\r\n',
  'ffffffffffffffff\r\n',
  'GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a'.repeat(20_000),
  '\u00ff',
]

export const jsonPieces: readonly string[] = [
  '"id":1,',
  '"ID":2,',
  '"id":null,',
  '"method":"initialize",',
  '"method":"notifications/cancelled",',
  '"jsonrpc":"2.0",',
  '"params":{},',
  '"_meta":{"progressToken":1},',
  '"__proto__":{"x":1},',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"',
  '\\u0000',
  '\\ud800',
  '1e400',
  '-0',
  '9007199254740993',
  '['.repeat(2_000),
  '\n',
  '\r\n',
  '\ufeff',
  '\u2028',
]

export const eventPieces: readonly string[] = [
  '\n',
  '\n\n',
  '\r',
  '\r\n',
  '\r\n\r\n',
  'data:',
  'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',
  'event: endpoint\n',
  'event: endpoint\ndata: http://evil/m\n\n',
  'data: //evil/m\n\n',
  'id: 7\n',
  'id:\0\n',
  'retry: 1\n',
  ': comment\n\n',
  '\ufeff',
  '\0',
  'data: ' + 'x'.repeat(3_000),
]

/** One of the templates, changed in up to five places. `[n]` in a template becomes the number of the input. */
export function drawInputs(
  seed: number,
  count: number,
  from: { templates: readonly string[]; pieces: readonly string[] },
): FuzzInput[] {
  const place = fc.double({ min: 0, max: 1, noNaN: true })
  const change = fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), at: place, piece: fc.constantFrom(...from.pieces) }),
    fc.record({ kind: fc.constant('begin' as const), at: place, piece: fc.constantFrom(...from.pieces) }),
    fc.record({ kind: fc.constant('replace' as const), at: place, piece: fc.constantFrom(...from.pieces) }),
    fc.record({ kind: fc.constant('byte' as const), at: place, byte: fc.nat(255) }),
    fc.record({ kind: fc.constant('delete' as const), at: place, length: fc.nat(40) }),
    fc.record({ kind: fc.constant('repeat' as const), at: place, length: fc.nat(60) }),
    fc.record({ kind: fc.constant('cut' as const), at: place }),
  )
  // Most inputs stay whole but for one place: what is broken in many is refused by the first look.
  const changes = fc.oneof(
    { weight: 3, arbitrary: fc.array(change, { maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(change, { minLength: 2, maxLength: 5 }) },
  )
  const arbitrary = fc.tuple(fc.constantFrom(...from.templates), changes)
  return fc.sample(arbitrary, { seed, numRuns: count }).map(([template, some], number) => {
    let bytes = Buffer.from(template.replaceAll('[n]', String(number)))
    for (const one of some) bytes = apply(bytes, one)
    return { number, bytes }
  })
}

type Change =
  | { kind: 'insert' | 'begin' | 'replace'; at: number; piece: string }
  | { kind: 'byte'; at: number; byte: number }
  | { kind: 'delete' | 'repeat'; at: number; length: number }
  | { kind: 'cut'; at: number }

function apply(bytes: Buffer, change: Change): Buffer<ArrayBuffer> {
  let at = Math.floor(change.at * bytes.length)
  // Where a member or a line begins, a piece may well be read as one.
  if (change.kind === 'begin')
    while (at < bytes.length && !'{,\n'.includes(String.fromCharCode(bytes[at - 1] ?? 0x0a))) at += 1
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (change.kind) {
    case 'insert':
    case 'begin':
      return Buffer.concat([before, Buffer.from(change.piece), after])
    case 'replace':
      return Buffer.concat([before, Buffer.from(change.piece), after.subarray(change.piece.length)])
    case 'byte':
      return Buffer.concat([before, Buffer.from([change.byte]), after.subarray(1)])
    case 'delete':
      return Buffer.concat([before, after.subarray(change.length)])
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, change.length), after])
    case 'cut':
    default:
      return Buffer.from(before)
  }
}

/** Runs everything, a few at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await run(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/**
 * Sends bytes on a connection of its own, hangs up after a moment without an answer,
 * and gives back what came. Throws when the proxy does not let go of the connection.
 */
export function sendBytes(port: number, bytes: Buffer, quietMs = 10): Promise<string> {
  return new Promise((resolve, reject) => {
    let out = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const giveUp = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the connection still hangs for ${JSON.stringify(bytes.toString('latin1'))}`))
    }, hangMs)
    let quiet = setTimeout(() => socket.end(), quietMs * 3)
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => {
      out += piece
      clearTimeout(quiet)
      quiet = setTimeout(() => socket.end(), quietMs)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(giveUp)
      clearTimeout(quiet)
      resolve(out)
    })
  })
}

/** Far above every bound that the fuzz tests set. */
const hangMs = 10_000

/** The proxy found no fault of its own, and nothing of what was sent to it is left. */
export async function expectCalm(fixture: ProxyFixture): Promise<void> {
  const faults = fixture.logs.filter(({ message }) =>
    /failed inside|could not be delivered|listener failed/.test(message),
  )
  expect(faults).toEqual([])
  await expect.poll(() => fixture.proxy.stats().inFlight, { timeout: hangMs }).toBe(0)
  await expect.poll(() => fixture.proxy.stats().streams, { timeout: hangMs }).toBe(0)
  fixture.logs.length = 0
}

/** Sockets and timers of this process. */
export function openHandles(): number {
  return process.getActiveResourcesInfo().filter((kind) => /^(?:TCP|Timeout)/.test(kind)).length
}
