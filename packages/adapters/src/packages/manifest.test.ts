import { describe, expect, it } from 'vitest'
import { absoluteCommand, parseManifest, type PackageManifest } from './manifest.ts'

const manifest: PackageManifest = {
  schema: 1,
  kind: 'npx',
  name: '@scope/name',
  version: '1.2.3',
  integrity: 'sha512-x',
  command: ['$node', './node_modules/@scope/name/dist/index.js'],
  installedAt: '2026-01-01T00:00:00.000Z',
  bytes: 12,
}

function changed(change: Record<string, unknown>): string {
  return JSON.stringify({ ...manifest, ...change })
}

describe('a manifest', () => {
  it('reads back as it was written, without foreign keys', () => {
    expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest)
    expect(parseManifest(changed({ other: 1 }))).toEqual(manifest)
  })

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['null', 'null'],
    ['another schema', changed({ schema: 2 })],
    ['an unknown kind', changed({ kind: 'gem' })],
    ['no name', changed({ name: undefined })],
    ['a version that is no text', changed({ version: 1 })],
    ['no command', changed({ command: [] })],
    ['a command outside', changed({ command: ['./../../evil'] })],
    ['a command outside by detour', changed({ command: ['./a/../../evil'] })],
    ['an absolute command', changed({ command: ['/bin/sh'] })],
    ['a command with options', changed({ command: ['$node', '-e'] })],
    ['a command of numbers', changed({ command: [1] })],
    ['a long command', changed({ command: ['./a', './b', './c', './d', './e'] })],
    ['bytes that are no number', changed({ bytes: '1' })],
    ['an integrity that is no text', changed({ integrity: 1 })],
  ])('with %s is none', (_what, text) => {
    expect(parseManifest(text)).toBeUndefined()
  })

  it('gives an absolute command', () => {
    expect(absoluteCommand(manifest, '/cache/entry', '/opt/node')).toEqual([
      '/opt/node',
      '/cache/entry/node_modules/@scope/name/dist/index.js',
    ])
  })
})
