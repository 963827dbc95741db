// The second baseline: what a hop costs at least. Requests go through undici's dispatch and answers stream back, with
// back-pressure and the end of a client passed on, and none of a proxy's other duties.
// Usage: node bare-forwarder.mjs <port> <origin>

import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [port, origin] = process.argv.slice(2)
// The undici of the proxy, so that both hops stand on the same one.
const { Pool } = createRequire(new URL('../../packages/proxy/package.json', import.meta.url))('undici')
const pool = new Pool(origin, { connections: 1024, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })

createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => forward(request, response, chunks))
}).listen(Number(port), '127.0.0.1')

function forward({ method, url, rawHeaders }, response, chunks) {
  const body = chunks.length === 0 ? null : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  let controller
  response.on('close', () => response.writableFinished || controller?.abort(new Error('the client has left')))
  response.on('drain', () => controller?.resume())
  pool.dispatch(
    { path: url, method, headers: withoutHop(rawHeaders), body },
    {
      onRequestStart: (given) => (controller = given),
      onResponseStart: (given, status) => response.writeHead(status, withoutHop(given.rawHeaders.map(String))),
      onResponseData: (given, chunk) => response.write(chunk) || given.pause(),
      onResponseEnd: () => response.end(),
      onResponseError: () => response.destroy(),
    },
  )
}

function withoutHop(raw) {
  const kept = []
  for (let index = 0; index < raw.length; index += 2) {
    if (!HOP.has(raw[index].toLowerCase())) kept.push(raw[index], raw[index + 1])
  }
  return kept
}

const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host'])
