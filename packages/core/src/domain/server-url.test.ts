import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseServerUrl, publishableUrl, socketUrl } from './server-url.ts'

const refused = { code: 'server-record-refused' }

describe('the URL of a record', () => {
  test.each([
    ['http://127.0.0.1:52341', 'http://127.0.0.1:52341'],
    ['http://127.255.0.9:1', 'http://127.255.0.9:1'],
    ['HTTP://127.0.0.1:65535/', 'http://127.0.0.1:65535'],
    ['http://127.0.0.1', 'http://127.0.0.1:80'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
    ['http://[0:0:0:0:0:0:0:1]:8080', 'http://[0:0:0:0:0:0:0:1]:8080'],
    ['http://[::ffff:127.0.0.1]:8080', 'http://[::ffff:127.0.0.1]:8080'],
  ])('%s is accepted', (url, origin) => {
    expect(parseServerUrl(url)).toEqual({ kind: 'http', origin })
  })

  test.each([
    ['localhost', 'http://localhost:8080'],
    ['a name that only looks like an address', 'http://127.0.0.1.example.com:8080'],
    ['all interfaces', 'http://0.0.0.0:8080'],
    ['all interfaces of IPv6', 'http://[::]:8080'],
    ['an address next to loopback', 'http://[::2]:8080'],
    ['another machine', 'http://192.168.1.5:8080'],
    ['a mapped other machine', 'http://[::ffff:10.0.0.1]:8080'],
    ['loopback behind a translator', 'http://[64:ff9b::7f00:1]:8080'],
    ['an address in short', 'http://127.1:8080'],
    ['an address as a number', 'http://2130706433:8080'],
    ['an octal address', 'http://0177.0.0.1:8080'],
    ['IPv6 without brackets', 'http://::1:8080'],
    ['brackets around IPv4', 'http://[127.0.0.1]:8080'],
    ['nothing in brackets', 'http://[]:8080'],
    ['no address in brackets', 'http://[x:y]:8080'],
    ['a zone', 'http://[::1%25lo]:8080'],
    ['user information', 'http://127.0.0.1@evil.example:8080'],
    ['user information before loopback', 'http://u:p@127.0.0.1:8080'],
    ['a path', 'http://127.0.0.1:8080/elsewhere'],
    ['a query', 'http://127.0.0.1:8080?x'],
    ['a fragment', 'http://127.0.0.1:8080#x'],
    ['a backslash', 'http://127.0.0.1:8080\\@evil.example'],
    ['a line end', 'http://127.0.0.1:8080\n'],
    ['port 0', 'http://127.0.0.1:0'],
    ['port 65536', 'http://127.0.0.1:65536'],
    ['no host', 'http://'],
    ['https', 'https://127.0.0.1:8080'],
    ['a file', 'file:///etc/passwd'],
    ['no scheme', '127.0.0.1:8080'],
    ['nothing', ''],
  ])('%s is refused', (_what, url) => {
    expect(() => parseServerUrl(url)).toThrow(expect.objectContaining(refused))
  })

  test('the path of a socket is decoded', () => {
    expect(parseServerUrl('unix:///run/my%20thv/%C3%BC.sock')).toEqual({ kind: 'unix', path: '/run/my thv/ü.sock' })
  })

  test.each([
    ['a host', 'unix://host/run/x.sock'],
    ['user information', 'unix://u@/run/x.sock'],
    ['a query', 'unix:///run/x.sock?y'],
    ['a fragment', 'unix:///run/x.sock#y'],
    ['no path', 'unix://'],
    ['a directory', 'unix:///run/'],
    ['..', 'unix:///run/../etc/x.sock'],
    ['an encoded ..', 'unix:///run/%2e%2e/etc/x.sock'],
    ['.. behind an encoded slash', 'unix:///run%2f..%2fetc/x.sock'],
    ['a zero byte', 'unix:///run/x%00.sock'],
    ['a broken escape', 'unix:///run/%zz'],
    ['more than an address holds', `unix:///${'x'.repeat(107)}`],
    ['a relative path', 'unix:run/x.sock'],
  ])('a socket with %s is refused', (_what, url) => {
    expect(() => parseServerUrl(url)).toThrow(expect.objectContaining(refused))
  })

  test('the name of a pipe is compared in lower case', () => {
    expect(parseServerUrl('npipe://ToolHive-API')).toEqual({ kind: 'npipe', name: 'toolhive-api' })
  })

  test.each(['', 'a/b', 'a\\b', '..\\x y', 'NUL', 'con', 'com1', 'lpt9.txt', 'x'.repeat(248), 'a?b', 'a%41'])(
    'the pipe name %j is refused',
    (name) => {
      expect(() => parseServerUrl(`npipe://${name}`)).toThrow(expect.objectContaining(refused))
    },
  )

  test('every socket path survives its URL', () => {
    const part = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => {
      return !text.includes('/') && !text.includes('\0') && text !== '..'
    })
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 2 }), (parts) => {
        const path = `/${parts.join('/')}`
        fc.pre(Buffer.byteLength(path) <= 107)
        expect(parseServerUrl(socketUrl(path))).toEqual({ kind: 'unix', path })
      }),
    )
  })

  test('whatever is accepted leads to loopback, also for the parser that requests go by', () => {
    const piece = fc.constantFrom('127', '0', '1', '.', ':', '[', ']', '::1', '127.0.0.1', '@', '/', '%', 'a', '8080')
    const url = fc.oneof(
      fc.webUrl(),
      fc.string(),
      fc.array(piece, { maxLength: 9 }).map((all) => all.join('')),
    )
    let accepted = 0
    fc.assert(
      fc.property(url, (rest) => {
        const origin = originOf(`http://${rest}`)
        if (origin === undefined) return
        accepted += 1
        expect(new URL(origin).hostname).toMatch(/^(127\.\d+\.\d+\.\d+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])$/)
        expect(new URL(origin).origin.toLowerCase()).toBe(new URL(`http://${rest}`).origin)
      }),
      { numRuns: 1_000, examples: [['127.0.0.1:8080'], ['[::1]']] },
    )
    expect(accepted).toBeGreaterThan(1)
  })
})

describe('the URL to publish', () => {
  test.each([
    ['127.0.0.1', 'http://127.0.0.1:8080'],
    ['127.0.0.2', 'http://127.0.0.2:8080'],
    ['0.0.0.0', 'http://127.0.0.1:8080'],
    ['::', 'http://[::1]:8080'],
    ['::1', 'http://[::1]:8080'],
    ['::ffff:127.0.0.1', 'http://127.0.0.1:8080'],
    ['192.168.1.5', undefined],
    ['::ffff:192.168.1.5', undefined],
    ['fe80::1%eth0', undefined],
    ['2001:db8::1', undefined],
  ])('of a listener on %s is %s', (address, url) => {
    expect(publishableUrl({ address, port: 8080 })).toBe(url)
  })

  test('is one that clients accept', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('0.0.0.0', '::', '::1', '127.0.0.1'))
    fc.assert(
      fc.property(address, fc.integer({ min: 1, max: 65_535 }), (bound, port) => {
        const url = publishableUrl({ address: bound, port })
        if (url !== undefined) expect(parseServerUrl(url)).toEqual({ kind: 'http', origin: url })
      }),
    )
  })
})

function originOf(url: string): string | undefined {
  try {
    const address = parseServerUrl(url)
    return address.kind === 'http' ? address.origin : undefined
  } catch (error) {
    expect(error).toMatchObject(refused)
    return undefined
  }
}
