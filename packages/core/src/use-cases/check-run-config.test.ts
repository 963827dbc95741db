import { expect, it } from 'vitest'
import { assertRunConfig, runConfigSchemaVersion } from '../domain/run-config.ts'
import { isThvError } from '../errors.ts'
import { assertSupportedRunConfig } from './check-run-config.ts'

it('a config that asks for what would have to be ignored is refused, naming every key', () => {
  const config: unknown = {
    schema_version: runConfigSchemaVersion,
    name: 'a',
    image: '',
    transport: 'stdio',
    host: '',
    port: 1,
    permission_profile: null,
    publish: ['1:2'],
    runtime_config: { builder_image: 'node:24-alpine' },
    volumes: [],
    stateless: false,
  }
  assertRunConfig(config, 'x')
  expect(() => assertSupportedRunConfig(config)).toThrow(
    expect.objectContaining({
      code: 'run-config-unsupported',
      hint: "remove 'publish', 'runtime_config' if the server may run without",
    }),
  )
})

it('how an image was built concerns nobody who runs it', () => {
  const config: unknown = {
    name: 'a',
    transport: 'stdio',
    port: 1,
    image: 'toolhivelocal/npx-a:1',
    runtime_config: { builder_image: 'node:24-alpine' },
    thv: { runtime: 'container' },
  }
  assertRunConfig(config, 'x')
  expect(() => assertSupportedRunConfig(config)).not.toThrow()
})

it.each([
  [{ runtime_config: { build_with: 'one' } }, 'runtime_config'],
  [{ allow_docker_gateway: 'yes' }, 'allow_docker_gateway'],
  [{ trust_proxy_headers: 'yes' }, 'trust_proxy_headers'],
  [{ stateless: 'true' }, 'stateless'],
  [{ strict_protocol_validation: 1 }, 'strict_protocol_validation'],
  [{ session_ttl: 60 }, 'session_ttl'],
  [{ session_ttl: '-1m' }, 'session_ttl'],
  [{ endpoint_prefix: 'a' }, 'endpoint_prefix'],
  [{ endpoint_prefix: '/a b' }, 'endpoint_prefix'],
])('a config with %j is refused', (more, key) => {
  const config = { name: 'a', transport: 'sse', port: 1, ...more }
  expect(() => assertRunConfig(config, 'x')).toThrow(key)
})

it.each([
  [{ transport: 'sse' }, 'run-config-unsupported'],
  [{ transport: 'stdio', proxy_mode: 'sse' }, 'run-config-unsupported'],
  [{ transport: 'stdio', proxy_mode: 'streamable-http' }, undefined],
  [{ transport: 'streamable-http' }, undefined],
])('a stateless config with %j: %s', (more, code) => {
  const config: unknown = { name: 'a', port: 1, stateless: true, session_ttl: '1h0m0s', ...more }
  assertRunConfig(config, 'x')
  expect(codeOf(() => assertSupportedRunConfig(config))).toBe(code)
})

it('a stored chain is refused for the members that cannot be had, and for them only', () => {
  const config: unknown = {
    name: 'a',
    transport: 'stdio',
    port: 1,
    middleware_configs: [{ type: 'recovery' }, { type: 'audit', parameters: {} }],
  }
  assertRunConfig(config, 'x')
  expect(() => assertSupportedRunConfig(config)).toThrow(
    expect.objectContaining({
      code: 'run-config-unsupported',
      message: expect.stringContaining("the middleware 'audit'"),
      hint: "remove 'middleware_configs' if the server may run without",
    }),
  )
})

function codeOf(act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return isThvError(error) ? error.code : String(error)
  }
}
