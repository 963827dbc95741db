import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostics } from '../diagnostics.ts'
import { errorKinds } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseEnvironmentFile, parseEnvironmentVariable } from './environment.ts'
import { parseGoDuration } from './go-duration.ts'
import { parseSessionTtl } from './session-ttl.ts'
import { assertGroupName } from './group.ts'
import { assertHost } from './host.ts'
import { matchesLabels, parseLabel } from './label.ts'
import { decideRestart } from './restart-policy.ts'
import { clientUrl, effectiveProxyMode } from './transport-type.ts'

describe('environment', () => {
  it('reads files without quote processing', () => {
    const text = '# comment\nexport A=1\n\nB="x y"\r\nC=a=b\n'
    expect(parseEnvironmentFile(text)).toEqual({ A: '1', B: '"x y"', C: 'a=b' })
  })

  it('never repeats a value in an error', () => {
    for (const bad of ['SECRET hunter2', '=hunter2', '9X=hunter2', 'A B=hunter2']) {
      expect(() => parseEnvironmentVariable(bad)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
      )
    }
  })
})

describe('labels', () => {
  it.each(['a=b', 'example.com/team=x-1', 'a='])('accepts %s', (text) => {
    expect(parseLabel(text)[0]).toBe(text.split('=')[0])
  })
  it.each(['a', '=b', 'a b=c', 'a=b c', `${'k'.repeat(64)}=v`, `k=${'v'.repeat(64)}`, '/a=b'])('refuses %s', (text) => {
    expect(() => parseLabel(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })
  it('all wanted labels must match', () => {
    expect(matchesLabels({ a: '1', b: '2' }, [['a', '1']])).toBe(true)
    expect(
      matchesLabels({ a: '1' }, [
        ['a', '1'],
        ['b', '2'],
      ]),
    ).toBe(false)
  })
})

describe('session lifetimes', () => {
  it.each([
    ['', undefined],
    ['0', undefined],
    ['0s', undefined],
    ['0h0m0.0s', undefined],
    ['1ms', 1],
    ['2h0m0s', 7_200_000],
    ['596h', 2_145_600_000],
  ])('%j is %s', (text, ms) => {
    expect(parseSessionTtl(text)).toBe(ms)
  })

  it.each(['597h', '0.4ms', '-1m', '90', ' 1m', '1d'])('%j is none', (text) => {
    expect(() => parseSessionTtl(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })
})

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5s', 1_500],
    ['250ms', 250],
    ['2h', 7_200_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseGoDuration(text)).toBe(ms)
  })
  it.each(['', '30', 's', '-1s', '1d', '30 s'])('refuses %j', (text) => {
    expect(() => parseGoDuration(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })
})

describe('restarts', () => {
  it('waits longer each time within the cap, then gives up', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 50 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempts, random) => {
          const decision = decideRestart(attempts, 10, random)
          expect(decision.restart).toBe(attempts < limits.restartAttempts)
          if (decision.restart) expect(decision.delayMs).toBeLessThanOrEqual(limits.restartMaxMs)
          if (decision.restart && attempts > 0) {
            expect(decision.delayMs).toBeGreaterThanOrEqual(limits.restartInitialMs / 2)
          }
        },
      ),
    )
  })
  it('come at once after a stable run and after the first short one, and never twice in a row', () => {
    expect(decideRestart(9, limits.restartStableMs, 0.9)).toEqual({ restart: true, attempt: 1, delayMs: 0 })
    expect(decideRestart(0, 10, 0.9)).toEqual({ restart: true, attempt: 1, delayMs: 0 })
    expect(decideRestart(1, 10, 0)).toEqual({ restart: true, attempt: 2, delayMs: limits.restartInitialMs / 2 })
    // All attempts of a crash loop together leave the machine alone for more than a minute.
    const delays = Array.from({ length: limits.restartAttempts }, (_none, attempts) => decideRestart(attempts, 10, 0))
    const total = delays.reduce((sum, decision) => sum + (decision.restart ? decision.delayMs : 0), 0)
    expect(total).toBeGreaterThan(60_000)
  })
})

describe('urls and names', () => {
  it('gives the URLs of spec/local 3.8', () => {
    expect(clientUrl('a', '127.0.0.1', 4000, effectiveProxyMode('stdio', undefined))).toBe('http://127.0.0.1:4000/mcp')
    expect(clientUrl('a', '', 4000, effectiveProxyMode('stdio', 'sse'))).toBe('http://127.0.0.1:4000/sse#a')
    expect(clientUrl('a', '', 4000, effectiveProxyMode('sse', 'streamable-http'))).toBe('http://127.0.0.1:4000/sse#a')
  })
  it.each([
    ['', '127.0.0.1'],
    ['localhost', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['::', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.1'],
    // Nothing listens on 127.0.0.1 then.
    ['127.0.0.2', '127.0.0.2'],
    ['192.168.1.5', '192.168.1.5'],
    ['::1', '[::1]'],
  ])('a proxy on %j is reached at %s', (host, shown) => {
    expect(clientUrl('a', host, 4000, 'streamable-http')).toBe(`http://${shown}:4000/mcp`)
  })
  it.each(['127.0.0.1', '::1', '::', 'fe80::1%eth0', 'localhost', 'my-host.lan'])('%s may be a host', (host) => {
    expect(() => assertHost(host)).not.toThrow()
  })
  it.each(['', ' ', '[::1]', '127.0.0.1:80', 'http://x', 'a b', 'a\0', '-x', ':', 'x/y'])('%j is no host', (host) => {
    expect(() => assertHost(host)).toThrow(expect.objectContaining({ code: 'host-invalid' }))
  })
  it.each(['Default', '', ' a', 'a  b', 'a/b', '../x', 'x'.repeat(201)])('refuses group %j', (name) => {
    expect(() => assertGroupName(name)).toThrow(expect.objectContaining({ code: 'invalid-name' }))
  })
})

describe('errors', () => {
  it('pins the codes scripts match on', () => {
    expect(Object.keys(errorKinds)).toMatchSnapshot()
  })
  it('tells all problems of an input at once', () => {
    const problems = new Diagnostics()
    problems.add('--a', 'bad')
    problems.add('--b', 'worse')
    expect(() => problems.throwIfAny('invalid-argument', 'no', 'mend')).toThrow(
      expect.objectContaining({ message: 'no: 2 problems', detail: ['--a: bad', '--b: worse'] }),
    )
  })
})
