import type { RunConfig } from '@thv/core'
import { ProxyMetrics } from '@thv/proxy'
import { expect, it } from 'vitest'
import { buildChain } from './build-chain.ts'

const base: RunConfig = {
  schema_version: 'v0.1.0',
  image: '',
  name: 'a',
  transport: 'stdio',
  host: '',
  port: 1,
  permission_profile: null,
}

it('a plain workload has an empty chain', () => {
  expect(buildChain(base, {})).toEqual({ middleware: [], limits: {} })
})

it('tools are filtered before they are counted', () => {
  const { middleware, metrics } = buildChain(
    { ...base, tools_filter: ['x'], telemetry_config: { enablePrometheusMetricsPath: true } },
    {},
  )
  expect(middleware?.map(({ name }) => name)).toEqual(['tool-filter', 'usagemetrics'])
  expect(metrics).toBeInstanceOf(ProxyMetrics)
})

it('limits of the run config win over the environment, and both over a stored chain', () => {
  const middleware_configs = [{ type: 'bodylimit', parameters: { max_bytes: 1 } }]
  const config = { ...base, middleware_configs, thv: { runtime: 'process' as const, limits: { closeMs: 5 } } }
  expect(buildChain(config, {}).limits).toEqual({ bodyBytes: 1, closeMs: 5 })
  expect(buildChain(config, { bodyBytes: 2, closeMs: 3 }).limits).toEqual({ bodyBytes: 2, closeMs: 5 })
})

it.each([
  ['1m30s', undefined, 90_000],
  ['1m30s', 7, 7],
  ['0', undefined, 5],
  [undefined, undefined, 5],
])('a session lifetime of %s beside the limit %s is %s ms, before 5 of the environment', (text, limit, expected) => {
  const thv = { runtime: 'process' as const, limits: limit === undefined ? {} : { sessionTtlMs: limit } }
  const config = { ...base, ...(text === undefined ? {} : { session_ttl: text }), thv }
  expect(buildChain(config, { sessionTtlMs: 5 }).limits).toEqual({ sessionTtlMs: expected })
})

it('a limit that there is not is refused', () => {
  const config = { ...base, thv: { runtime: 'process' as const, limits: { nothing: 5 } } }
  expect(() => buildChain(config, {})).toThrow('there is no limit "nothing"')
})
