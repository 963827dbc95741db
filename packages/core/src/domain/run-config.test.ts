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

const process = { runtime: 'process' }
const found = { kind: 'npx', name: 'x', version: '1.0.0', integrity: 'sha512-x' }
const command = { executable: '/bin/x', typed: 'x', workingDirectory: '/', searchPath: '' }

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
    [{ ...minimal, thv: { runtime: 'process', era: 'auto' } }],
    [{ ...minimal, cmd_args: ['a\0b'] }],
    [{ ...minimal, env_vars: { A: '\0' } }],
    [{ ...minimal, env_vars: { 'A\0': '' } }],
    [{ ...minimal, thv: null }],
    [{ ...minimal, thv: {} }],
    [{ ...minimal, thv: { runtime: 'docker' } }],
    [{ ...minimal, thv: { ...process, command: {} } }],
    [{ ...minimal, thv: { ...process, command: { ...command, executable: 'node' } } }],
    [{ ...minimal, thv: { ...process, command: { ...command, workingDirectory: '.' } } }],
    [{ ...minimal, thv: { ...process, command: { ...command, searchPath: 1 } } }],
    [{ ...minimal, thv: { ...process, package: 'npx' } }],
    [{ ...minimal, thv: { ...process, package: { ...found, kind: 'toString' } } }],
    [{ ...minimal, thv: { ...process, package: { ...found, name: '../../../x' } } }],
    [{ ...minimal, thv: { ...process, package: { ...found, name: '--flag' } } }],
    [{ ...minimal, thv: { ...process, package: { ...found, name: 'x@2' } } }],
    [{ ...minimal, thv: { ...process, package: { ...found, version: '1 --flag' } } }],
    [{ ...minimal, thv: { ...process, package: { ...found, version: undefined } } }],
    [{ ...minimal, thv: { ...process, package: { ...found, integrity: 1 } } }],
  ])('refuses %j', (value) => {
    expect(() => assertRunConfig(value, 'x')).toThrow(expect.objectContaining({ name: 'ThvError' }))
  })

  it.each([
    [{ ...process, package: found }],
    [{ ...process, package: { kind: 'go', name: 'github.com/a/b', version: 'v1.2.3-0.2024+x' } }],
    [{ ...process, package: { kind: 'npx', name: '@scope/name', version: '1.0.0-rc.1' } }],
    [{ ...process, command }],
    [{ ...process, command: { ...command, executable: 'C:\\node.exe', workingDirectory: 'D:/x' } }],
    [process],
  ])('accepts the extension %j', (thv) => {
    expect(() => assertRunConfig({ ...minimal, thv }, 'x')).not.toThrow()
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
