import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertRunConfig, runConfigSchemaVersion } from './run-config.ts'

const minimal = {
  schema_version: runConfigSchemaVersion,
  name: 'a',
  image: '',
  transport: 'stdio',
  host: '',
  port: 1,
  permission_profile: null,
}

describe('run configs', () => {
  it('accepts the smallest config and keeps unknown keys', () => {
    const config: unknown = { ...minimal, future: { x: 1 } }
    assertRunConfig(config, 'x')
    expect(config['future']).toEqual({ x: 1 })
  })

  it.each(['v0.2.0', 'v1.0.0', 'v0.10.1'])('refuses the newer schema %s with its own code', (version) => {
    expect(() => assertRunConfig({ ...minimal, schema_version: version }, 'x')).toThrow(
      expect.objectContaining({ code: 'run-config-newer' }),
    )
  })

  it.each([
    [null],
    [[]],
    ['text'],
    [{}],
    [{ ...minimal, schema_version: 1 }],
    [{ ...minimal, name: '../../x' }],
    [{ ...minimal, transport: 'websocket' }],
    [{ ...minimal, port: 70_000 }],
    [{ ...minimal, port: 1.5 }],
    [{ ...minimal, cmd_args: [1] }],
    [{ ...minimal, env_vars: { A: 1 } }],
    [{ ...minimal, proxy_mode: 'ws' }],
    [{ ...minimal, thv: { runtime: 'process', lanes: 'none' } }],
  ])('refuses %j', (value) => {
    expect(() => assertRunConfig(value, 'x')).toThrow(expect.objectContaining({ name: 'ThvError' }))
  })

  it('survives any JSON value with an error of ours', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          assertRunConfig(value, 'x')
        } catch (error) {
          expect(error).toMatchObject({ name: 'ThvError' })
        }
      }),
    )
  })
})
