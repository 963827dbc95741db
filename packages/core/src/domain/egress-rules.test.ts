import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressKind, canonicalAddress } from './address-kind.ts'
import { decideAddress, decideEgress, matchesHost } from './egress-rules.ts'

const https = 443
const byName = { allow_host: ['api.example.com', '.github.com', '203.0.113.9'], allow_port: [443] }
const everything = { insecure_allow_all: true }

describe('egress rules', () => {
  it.each([
    ['api.example.com', true],
    ['API.Example.com.', true],
    ['example.com', false],
    ['evil-api.example.com', false],
    ['github.com', true],
    ['raw.github.com', true],
    ['evilgithub.com', false],
    ['github.com.evil.org', false],
    ['203.0.113.9', true],
    ['203.0.113.10', false],
  ])('%s: %s', (host, allowed) => {
    expect(decideEgress(byName, { host, port: https }).allowed).toBe(allowed)
  })

  it('say what would allow what they refuse', () => {
    expect(decideEgress(byName, { host: 'pip.example', port: 80 })).toEqual({
      allowed: false,
      reason: 'the profile does not name pip.example',
      remedy: "add 'pip.example' to network.outbound.allow_host and 80 to allow_port",
    })
    expect(decideEgress(byName, { host: 'github.com', port: 22 })).toEqual({
      allowed: false,
      reason: 'the profile does not name port 22',
      remedy: 'add 22 to network.outbound.allow_port',
    })
  })

  it('following the remedy allows it', () => {
    const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6())
    fc.assert(
      fc.property(hosts, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        const decision = decideEgress({ allow_host: ['x.test'], allow_port: [1] }, { host, port })
        if (decision.allowed) return
        const named = /add '([^']+)'/.exec(decision.remedy)?.[1]
        const rules = { allow_host: ['x.test', ...(named === undefined ? [] : [named])], allow_port: [1, port] }
        expect(decideEgress(rules, { host, port })).toEqual({ allowed: true })
      }),
    )
  })

  it('with nothing named nothing is allowed', () => {
    fc.assert(
      fc.property(fc.domain(), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        expect(decideEgress({}, { host, port }).allowed).toBe(false)
      }),
    )
  })

  it('a host that a rule with a dot covers ends in the rule', () => {
    fc.assert(
      fc.property(fc.domain(), fc.domain(), (rule, host) => {
        expect(matchesHost(`.${rule}`, host)).toBe(`.${host.toLowerCase()}`.endsWith(`.${rule.toLowerCase()}`))
      }),
    )
  })

  it.each([
    '127.0.0.1',
    'localhost',
    'a.localhost',
    '169.254.169.254',
    '10.0.0.1',
    '::1',
    '[::1]',
    '0.0.0.0',
    '0177.0.0.1',
  ])('allowing everything does not allow %s', (host) => {
    expect(decideEgress(everything, { host, port: 80 }).allowed).toBe(false)
  })

  it('a name that resolves to this machine is refused, whatever it is called', () => {
    const target = { host: 'api.example.com', port: https }
    const addresses = ['127.0.0.1', '::1', '::ffff:127.0.0.1', '169.254.169.254', '64:ff9b::7f00:1', 'fe80::1']
    const reached = (rules: Parameters<typeof decideAddress>[0]): string[] =>
      addresses.filter((address) => decideAddress(rules, target, address).allowed)
    expect([reached(byName), reached(everything)]).toEqual([[], []])
    expect(reached({ allow_host: addresses })).toEqual(addresses)
    expect(decideAddress(everything, target, '203.0.113.7', new Set(['203.0.113.7'])).allowed).toBe(false)
  })

  it.each(['203.0.113.7', '::ffff:203.0.113.7', '::ffff:cb00:7107', '64:ff9b::cb00:7107'])(
    'its own address is refused as %s too',
    (address) => {
      const own = new Set(['203.0.113.7', '2001:db8::7'].map(canonicalAddress))
      expect(decideAddress(everything, { host: address, port: https }, address, own).allowed).toBe(false)
      expect(decideAddress(everything, { host: 'a.example', port: https }, '2001:DB8:0:0::7', own).allowed).toBe(false)
      expect(decideAddress(everything, { host: 'a.example', port: https }, '203.0.113.8', own).allowed).toBe(true)
    },
  )

  it.each(['127.1', '2130706433', '0x7f000001', '0177.0.0.1', '0x7f.1', '127.0.0.0x1', '1'])(
    '%s is no name, whoever would look it up',
    (host) => {
      expect(decideEgress(everything, { host, port: https }).allowed).toBe(false)
    },
  )

  it('a private address is reached by the very name only, not by a domain or by everything', () => {
    const target = { host: 'wiki.corp.example', port: https }
    expect(decideAddress({ allow_host: ['wiki.corp.example'] }, target, '10.1.2.3').allowed).toBe(true)
    expect(decideAddress({ allow_host: ['.corp.example'] }, target, '10.1.2.3').allowed).toBe(false)
    expect(decideAddress(everything, target, '10.1.2.3')).toMatchObject({
      allowed: false,
      remedy: "add 'wiki.corp.example' to network.outbound.allow_host",
    })
  })

  it('localhost is reached by who names it', () => {
    const rules = { allow_host: ['localhost'], allow_port: [5432] }
    expect(decideEgress(rules, { host: 'localhost', port: 5432 }).allowed).toBe(true)
    expect(decideAddress(rules, { host: 'localhost', port: 5432 }, '127.0.0.1').allowed).toBe(true)
  })
})

describe('address kinds', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['172.32.0.1', 'public'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['127.255.0.1', 'loopback'],
    ['0.0.0.0', 'loopback'],
    ['169.254.1.1', 'link-local'],
    ['224.0.0.1', 'special'],
    ['255.255.255.255', 'special'],
    ['010.0.0.1', 'special'],
    ['1.2.3', 'special'],
    ['2606:4700::1', 'public'],
    ['::', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:10.0.0.1', 'private'],
    ['::ffff:7f00:1', 'loopback'],
    ['2002:7f00:1::', 'loopback'],
    ['64:ff9b::8.8.8.8', 'public'],
    ['64:ff9b:1:7f00:0:100:808:808', 'special'],
    ['fd00::1', 'private'],
    ['fe80::1%eth0', 'link-local'],
    ['ff02::1', 'special'],
    ['1::2::3', 'special'],
    ['not an address', 'special'],
  ])('%s is %s', (address, kind) => {
    expect(addressKind(address)).toBe(kind)
  })

  it('an IPv4 address has the same kind when it is mapped into IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(addressKind(`::ffff:${address}`)).toBe(addressKind(address))
      }),
    )
  })
})
