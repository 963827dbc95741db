import { afterEach, describe, expect, it } from 'vitest'
import { createUsageMetrics } from '../middleware/usage-metrics/usage-metrics.ts'
import { fetchText, initialize, post } from '../testing/http-client.ts'
import { never, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer } from '../testing/scripted-server.ts'
import { LabelledCounter } from './labelled-counter.ts'
import { MetricsText } from './metrics-text.ts'
import { ProxyMetrics } from './proxy-metrics.ts'

let fixture: ProxyFixture | undefined

afterEach(async () => {
  await fixture?.proxy.close()
  fixture = undefined
})

describe('/metrics', () => {
  it('shows what was done, and who was refused', async () => {
    const { port, proxy } = await serve()
    const headers = { 'mcp-session-id': await initialize(port) }
    for (const name of ['a', 'a', 'b"\n'])
      await post(port, { id: name, method: 'tools/call', params: { name } }, headers)
    await post(port, { id: 1, method: 'ping' }, { 'mcp-session-id': 'unknown' })
    await post(port, { id: 1, method: 'ping' }, { origin: 'http://evil.test' })
    await post(port, 'no JSON')
    await proxy.attach(createScriptedServer().connection, never)
    const { status, headers: head, text } = await fetchText({ port, path: '/metrics' })
    expect({ status, type: head['content-type'] }).toEqual({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
    })
    const samples = parse(text)
    expect(samples).toMatchObject({
      'thv_http_requests_total{workload="demo",method="POST",status="2xx"}': 4,
      'thv_http_requests_total{workload="demo",method="POST",status="4xx"}': 3,
      'thv_http_refused_total{workload="demo",reason="session-unknown"}': 1,
      'thv_http_refused_total{workload="demo",reason="origin-denied"}': 1,
      'thv_http_refused_total{workload="demo",reason="parse-error"}': 1,
      'thv_tool_calls_total{workload="demo",tool="a"}': 2,
      'thv_tool_calls_total{workload="demo",tool="b\\"\\n"}': 1,
      'thv_http_post_duration_seconds_bucket{workload="demo",le="+Inf"}': 7,
      'thv_http_post_duration_seconds_count{workload="demo"}': 7,
      'thv_in_flight{workload="demo"}': 0,
      'thv_sessions{workload="demo"}': 1,
      'thv_streams{workload="demo"}': 0,
      'thv_held_bytes{workload="demo"}': 0,
      'thv_server_attached{workload="demo"}': 1,
      'thv_server_restarts_total{workload="demo"}': 1,
    })
    expect(samples['thv_http_post_duration_seconds_sum{workload="demo"}']).toBeGreaterThan(0)
  })

  it('is for GET, and for hosts and origins that are allowed', async () => {
    const { port } = await serve()
    expect((await fetchText({ port, path: '/metrics', method: 'POST' })).status).toBe(405)
    expect((await fetchText({ port, path: '/metrics', headers: { host: 'evil.test' } })).status).toBe(403)
    expect((await fetchText({ port, path: '/metrics', headers: { origin: 'http://evil.test' } })).status).toBe(403)
  })

  it('is 404 with what to do when metrics are off', async () => {
    fixture = await startWithServer()
    const { status, text } = await fetchText({ port: fixture.port, path: '/metrics' })
    expect(status).toBe(404)
    expect(text).toContain('--otel-enable-prometheus-metrics-path')
  })
})

it('names of tools that clients make up do not fill the memory', () => {
  const metrics = new ProxyMetrics({ metricTools: 2, metricLabelLength: 3 })
  for (const tool of ['abcde', 'b', 'c', 'd', 'b']) metrics.countToolCall(tool)
  const gauges = { sessions: 0, inFlight: 0, streams: 0, heldBytes: 0, serverRestarts: 0, isAttached: false }
  const tools = Object.entries(parse(metrics.render('w', gauges))).filter(([name]) => name.includes('tool='))
  expect(tools).toEqual([
    ['thv_tool_calls_total{workload="w",tool="abc..."}', 1],
    ['thv_tool_calls_total{workload="w",tool="b"}', 2],
    ['thv_tool_calls_total{workload="w",tool="other"}', 2],
  ])
})

it('values that are written the same are one series', () => {
  const counter = new LabelledCounter(['x'], { series: 9, valueLength: 1 })
  for (const value of ['\ud800', '\udbff', '\u{1f600}', '\u{1f900}']) counter.add([value])
  expect(counter.samples().map(({ count }) => count)).toEqual([2, 2])
})

it('labels cannot end a line', () => {
  const text = new MetricsText({})
  const counter = new LabelledCounter(['x'], { series: 9, valueLength: 99 })
  counter.add(['\\"\n\r} 1'])
  text.counter('n', 'Help.', counter)
  expect(text.toString()).toBe('# HELP n Help.\n# TYPE n counter\nn{x="\\\\\\"\\n\r} 1"} 1\n')
})

async function serve(): Promise<ProxyFixture> {
  const metrics = new ProxyMetrics()
  fixture = await startWithServer({ config: { metrics, middleware: [createUsageMetrics(metrics)] } })
  return fixture
}

function parse(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}
