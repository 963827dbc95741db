import fc from 'fast-check'
import { expect, it } from 'vitest'
import { seatbeltProfile } from './seatbelt.ts'

const plan = {
  programPaths: ['/Users/me/.cache/toolhive/packages/npx/a@1.0.0'],
  mounts: [
    { source: '/Users/me/data', target: '/Users/me/data', writable: false },
    { source: '/Users/me/out', target: '/Users/me/out', writable: true },
  ],
  covered: [{ target: '/Users/me/data/.env' }],
  temporaryDirectory: '/private/tmp/thv',
  network: 'filtered',
  proxyPort: 4000,
  listenPort: 5000,
} as const

it('a seatbelt profile refuses everything but what it names', () => {
  const lines = seatbeltProfile(plan).split('\n')
  expect(lines.slice(0, 2)).toEqual(['(version 1)', '(deny default)'])
  expect(lines).toContain('(allow network-outbound (remote ip "localhost:4000"))')
  expect(lines).toContain('(allow network-bind network-inbound (local ip "localhost:5000"))')
  const writes = lines.find((line) => line.startsWith('(allow file-write*'))
  expect(writes).toBe(
    '(allow file-write* (subpath "/Users/me/out") (subpath "/private/tmp/thv") (literal "/dev/null") (literal "/dev/zero"))',
  )
  expect(seatbeltProfile(plan)).not.toContain('(subpath "/Users/me")')
  expect(lines.at(-2)).toBe('(deny file* (subpath "/Users/me/data/.env"))')
})

it('without network there is no rule for it, and with an open one all is allowed', () => {
  const { proxyPort: _proxy, listenPort: _listen, ...rest } = plan
  expect(seatbeltProfile({ ...rest, network: 'none' })).not.toContain('network')
  expect(seatbeltProfile({ ...rest, network: 'open' })).toContain('(allow network*)')
})

it('no path can end its string', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      const text = seatbeltProfile({ ...plan, covered: [], programPaths: [`/${name}`] })
      const outside = text.replaceAll(/"(?:[^"\\]|\\[\s\S])*"/g, '')
      expect(outside).not.toContain('"')
      expect(outside.split('(').length).toBe(outside.split(')').length)
    }),
  )
})
