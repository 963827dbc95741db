import { describe, expect, it } from 'vitest'
import { createRequestGuard, hostNameOf, isLoopbackName } from './request-guard.ts'

describe('createRequestGuard on loopback', () => {
  const guard = createRequestGuard({ host: '127.0.0.1', port: 4000 })

  it.each(['localhost', 'localhost:4000', 'LOCALHOST:1', '127.0.0.1:4000', '127.9.9.9', '[::1]:4000'])(
    'answers Host %s',
    (host) => {
      expect(guard.allowsHost(host)).toBe(true)
    },
  )

  it.each([
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    'localhost:4000@evil',
    'a b',
  ])('refuses Host %s', (host) => {
    expect(guard.allowsHost(host)).toBe(false)
  })

  it.each([undefined, 'http://localhost:4000', 'http://127.0.0.1:4000', 'http://[::1]:4000'])(
    'allows Origin %s',
    (origin) => {
      expect(guard.allowsOrigin(origin)).toBe(true)
    },
  )

  it.each([
    'null',
    'http://localhost',
    'https://localhost:4000',
    'http://evil.example',
    'http://localhost:4000, http://evil.example',
  ])('refuses Origin %s', (origin) => {
    expect(guard.allowsOrigin(origin)).toBe(false)
  })
})

describe('createRequestGuard elsewhere', () => {
  it('checks neither Host nor Origin beyond loopback without a list', () => {
    const guard = createRequestGuard({ host: '0.0.0.0', port: 1 })
    expect(guard.checksOrigin).toBe(false)
    expect(guard.allowsHost('any.example')).toBe(true)
    expect(guard.allowsOrigin('http://any.example')).toBe(true)
  })

  it('allows exactly the listed origins', () => {
    const guard = createRequestGuard({ host: '0.0.0.0', port: 1 }, ['https://app.example'])
    expect(guard.allowsOrigin('https://app.example')).toBe(true)
    expect(guard.allowsOrigin('http://localhost:1')).toBe(false)
  })
})

describe('names', () => {
  it('reads the name of a Host header', () => {
    expect(hostNameOf('A.example:80')).toBe('a.example')
    expect(hostNameOf('[::1]')).toBe('[::1]')
    expect(hostNameOf('a/b')).toBeUndefined()
  })

  it('knows this machine', () => {
    expect(isLoopbackName('::1')).toBe(true)
    expect(isLoopbackName('127.0.0.1')).toBe(true)
    expect(isLoopbackName('128.0.0.1')).toBe(false)
  })
})
