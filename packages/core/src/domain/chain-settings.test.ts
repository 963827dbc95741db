import { describe, expect, it } from 'vitest'
import { readChainSettings } from './chain-settings.ts'
import type { RunConfig } from './run-config.ts'

const base: RunConfig = {
  schema_version: 'v0.1.0',
  image: '',
  name: 'a',
  transport: 'stdio',
  host: '',
  port: 1,
  permission_profile: null,
}
const rules = { filter_tools: ['x', 'z'], tools_override: { y: { name: 'z', description: '' } } }

describe('readChainSettings', () => {
  it('has nothing to say about a config without a chain', () => {
    expect(readChainSettings(base)).toEqual({ hasMetrics: false, unsupported: [] })
    expect(readChainSettings({ ...base, allowed_origins: [], tools_filter: [], middleware_configs: null })).toEqual({
      hasMetrics: false,
      unsupported: [],
    })
  })

  it('reads the chain that ToolHive stores for a plain workload', () => {
    const types = ['recovery', 'mcp-parser', 'usagemetrics', 'auth', 'tool-filter', 'tool-call-filter', 'origin']
    const middleware_configs = [
      ...types.map((type) => ({ type, parameters: null })),
      { type: 'bodylimit', parameters: { max_bytes: 8_388_608 } },
    ]
    expect(readChainSettings({ ...base, middleware_configs })).toEqual({
      bodyBytes: 8_388_608,
      hasMetrics: false,
      unsupported: [],
    })
  })

  it('reads tools and origins from keys, from a chain, and from both when they agree', () => {
    const keys = { tools_filter: ['z', 'x'], tools_override: { y: { name: 'z' } }, allowed_origins: ['http://a'] }
    const middleware_configs = [
      { type: 'origin', parameters: { allowed_origins: ['http://a'] } },
      { type: 'tool-filter', parameters: rules },
      { type: 'tool-call-filter', parameters: rules },
    ]
    const expected = { allowedOrigins: ['http://a'], tools: { overrides: { y: { name: 'z' } } } }
    for (const config of [
      { ...base, ...keys },
      { ...base, middleware_configs },
      { ...base, ...keys, middleware_configs },
    ]) {
      expect(readChainSettings(config)).toMatchObject(expected)
    }
  })

  it.each([
    ['tools', { tools_filter: ['x'], middleware_configs: [{ type: 'tool-filter', parameters: rules }] }],
    [
      'tools',
      {
        middleware_configs: [
          { type: 'tool-filter', parameters: rules },
          { type: 'tool-call-filter', parameters: { filter_tools: ['x'] } },
        ],
      },
    ],
    [
      'origins',
      {
        allowed_origins: ['http://a'],
        middleware_configs: [{ type: 'origin', parameters: { allowed_origins: ['http://b'] } }],
      },
    ],
  ])('refuses a config that says two things about %s', (what, more) => {
    expect(() => readChainSettings({ ...base, ...more })).toThrow(`two different things about ${what}`)
  })

  it.each([
    [{ middleware_configs: {} }, 'is not a list'],
    [{ middleware_configs: [{}] }, 'without a type'],
    [{ middleware_configs: [{ type: 'bodylimit' }] }, 'max_bytes'],
    [{ middleware_configs: [{ type: 'bodylimit', parameters: { max_bytes: -1 } }] }, 'max_bytes'],
    [{ middleware_configs: [{ type: 'origin', parameters: { allowed_origins: 'x' } }] }, 'allowed_origins'],
    [{ middleware_configs: [{ type: 'tool-filter', parameters: { filter_tools: 'x' } }] }, 'list of tool names'],
    [{ tools_override: { a: {} } }, 'neither a name nor a description'],
    [{ tools_override: { a: { name: 'z' }, b: { name: 'z' } } }, "the name 'z' to two tools"],
    [{ tools_override: { a: { name: 1 } } }, "'name' is not a string"],
  ])('refuses %j', (more, message) => {
    expect(() => readChainSettings({ ...base, ...more } as unknown as RunConfig)).toThrow(message)
  })

  it('names what cannot be done', () => {
    const middleware_configs = [
      { type: 'auth', parameters: { oidc_config: { Issuer: 'x' } } },
      { type: 'authorization', parameters: {} },
      { type: 'telemetry', parameters: { config: { endpoint: 'http://x' } } },
    ]
    const telemetry_config = { enablePrometheusMetricsPath: true, metricsOnTransportPort: false, prometheusPort: 9464 }
    expect(readChainSettings({ ...base, middleware_configs, telemetry_config })).toMatchObject({
      hasMetrics: true,
      unsupported: [
        'a port of their own for metrics',
        'metrics anywhere but on the port of the proxy',
        'incoming authentication',
        "the middleware 'authorization'",
        'an export of telemetry',
      ],
    })
  })
})
