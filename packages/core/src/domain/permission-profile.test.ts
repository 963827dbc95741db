import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ThvError } from '../errors.ts'
import { assertConfinable, assertContainable, resolveContainerNetwork, resolveNetwork } from './confinement.ts'
import { coveredEntries, parseIgnoreFile } from './ignore-rules.ts'
import { parseMount, parseVolume } from './mount.ts'
import { builtInProfile, parsePermissionProfile } from './permission-profile.ts'

const example = {
  name: 'x',
  read: ['/data'],
  write: ['/out:/workspace/out'],
  network: {
    mode: 'bridge',
    outbound: { insecure_allow_all: false, allow_host: ['.github.com'], allow_port: [443] },
    inbound: { allow_host: ['localhost'] },
  },
  privileged: false,
}

function thrown(run: () => unknown): ThvError {
  try {
    run()
  } catch (error) {
    if (error instanceof ThvError) return error
  }
  throw new Error('nothing was thrown')
}

describe('permission profiles', () => {
  it('are read as ToolHive writes them', () => {
    expect(parsePermissionProfile(example, "'x.json'")).toEqual(example)
    expect(parsePermissionProfile({}, 'x')).toEqual({})
    expect(parsePermissionProfile({ read: null, network: null }, 'x')).toEqual({})
  })

  it('every problem is told, each with its place', () => {
    const error = thrown(() =>
      parsePermissionProfile(
        {
          wirte: ['/x'],
          read: ['data', 7],
          network: { outbound: { allow_host: ['https://a.com', '*.b.com'], allow_port: ['443', 0] } },
        },
        "'x.json'",
      ),
    )
    expect(error.code).toBe('permission-profile-invalid')
    expect(error.detail.map((line) => line.split(':')[0])).toEqual([
      'wirte',
      'read[0]',
      'read[1]',
      'network.outbound.allow_host[0]',
      'network.outbound.allow_host[1]',
      'network.outbound.allow_port[0]',
      'network.outbound.allow_port[1]',
    ])
  })

  it('nothing makes the parser throw anything else', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        try {
          parsePermissionProfile(value, 'x')
        } catch (error) {
          expect(error).toBeInstanceOf(ThvError)
        }
      }),
    )
  })

  it('there are three built-in names for two profiles', () => {
    expect(builtInProfile('none')?.network?.outbound?.insecure_allow_all).toBe(false)
    expect(builtInProfile('stdio')?.network?.outbound?.insecure_allow_all).toBe(false)
    expect(builtInProfile('network')?.network?.outbound?.insecure_allow_all).toBe(true)
    expect(builtInProfile('constructor')).toBeUndefined()
  })
})

describe('the network of a profile', () => {
  it.each([
    ['none', undefined, { kind: 'none' }],
    ['network', undefined, { kind: 'filtered' }],
    ['network', false, { kind: 'open' }],
  ])('%s with isolation %s', (name, isolate, expected) => {
    expect(resolveNetwork(builtInProfile(name)!, isolate)).toMatchObject(expected)
  })

  it('rules without isolation, isolation with the host network, and a foreign network are refused', () => {
    expect(thrown(() => resolveNetwork(example, false)).code).toBe('isolation-contradiction')
    expect(thrown(() => resolveNetwork({ network: { mode: 'host' } }, true)).code).toBe('isolation-contradiction')
    expect(thrown(() => resolveNetwork({ network: { mode: 'my-net' } }, undefined)).code).toBe('runtime-unsupported')
    expect(resolveNetwork({ network: { mode: 'host' } }, undefined)).toEqual({ kind: 'open' })
  })

  it.each([
    [{ network: { mode: 'none' } }, undefined, { kind: 'none' }],
    [builtInProfile('none')!, undefined, { kind: 'none' }],
    [builtInProfile('network')!, undefined, { kind: 'open' }],
    [builtInProfile('network')!, true, { kind: 'filtered' }],
    [example, undefined, { kind: 'filtered' }],
    [{ network: { mode: 'host' } }, undefined, { kind: 'joined', network: 'host' }],
    [{ network: { mode: 'team' } }, false, { kind: 'joined', network: 'team' }],
  ])('of a container: %j with isolation %s', (profile, isolate, expected) => {
    expect(resolveContainerNetwork(profile, isolate)).toMatchObject(expected)
  })

  it.each([
    [example, false],
    [{ network: { mode: 'host' } }, true],
    [{ network: { mode: 'team', outbound: { allow_host: ['a.example'] } } }, undefined],
  ])('of a container is refused when nothing would enforce it: %j with isolation %s', (profile, isolate) => {
    expect(thrown(() => resolveContainerNetwork(profile, isolate)).code).toBe('isolation-contradiction')
  })

  it('a container is always isolated, but for a privileged one that nobody restricts', () => {
    const open = { privileged: true, network: { kind: 'open' } } as const
    const filtered = { privileged: true, network: { kind: 'filtered', outbound: {} } } as const
    assertContainable('auto', open)
    assertContainable('required', { ...filtered, privileged: false })
    expect(thrown(() => assertContainable('none', { ...open, privileged: false })).code).toBe('isolation-contradiction')
    expect(thrown(() => assertContainable('required', open)).code).toBe('isolation-contradiction')
    expect(thrown(() => assertContainable('auto', filtered)).code).toBe('isolation-contradiction')
  })

  it('a profile or a volume for a process that is not confined is refused', () => {
    expect(thrown(() => assertConfinable('none', { profile: true, volumes: false, network: false })).code).toBe(
      'isolation-contradiction',
    )
    expect(thrown(() => assertConfinable('none', { profile: false, volumes: true, network: false })).code).toBe(
      'isolation-contradiction',
    )
    expect(() => assertConfinable('auto', { profile: true, volumes: true, network: false })).not.toThrow()
  })
})

describe('mounts', () => {
  it('have three forms', () => {
    expect(parseMount('/data')).toEqual({ source: '/data', target: '/data' })
    expect(parseMount('/out:/workspace/out/')).toEqual({ source: '/out', target: '/workspace/out' })
    expect(parseMount('C:\\data:/data')).toEqual({ source: 'C:\\data', target: '/data' })
    expect(thrown(() => parseMount('s3://bucket:/data')).message).toContain("'s3' resources")
  })

  it('volumes may be relative, and read-only', () => {
    expect(parseVolume('./here:/data')).toEqual({ source: './here', target: '/data', readOnly: false })
    expect(parseVolume('/a:/b:ro')).toEqual({ source: '/a', target: '/b', readOnly: true })
  })

  it.each(
    [
      ['', '/a', '/a:', ':/b', '/a:b', '/a:/b:rx', '/a:/b:ro:x', '/a:/', '/a:/b/../../etc', '/a\0:/b'],
      ['/a:/.', '/a://', '/a:/./proc', '/a://sys/x', '/a:/././'],
    ].flat(),
  )('the volume %j is refused', (text) => {
    expect(thrown(() => parseVolume(text)).code).toBe('mount-invalid')
  })
})

describe('.thvignore', () => {
  const entries = ['.env', '.env.local', 'secrets', 'src', 'a.pem'].map((name) => ({
    name,
    isDirectory: name === 'secrets' || name === 'src',
  }))

  function covered(text: string): string[] {
    return coveredEntries(parseIgnoreFile(text).patterns, entries).map((entry) => entry.name)
  }

  it('covers exact names, directories and globs at the root', () => {
    expect(covered('# keys\n.env\n\nsecrets/\n*.pem\n')).toEqual(['.env', 'secrets', 'a.pem'])
    expect(covered('.env*')).toEqual(['.env', '.env.local'])
    expect(covered('.env/')).toEqual([])
    expect(covered('/secrets')).toEqual(['secrets'])
    expect(covered('[ab].p?m')).toEqual(['a.pem'])
    expect(covered('[!a]*')).toEqual(['.env', '.env.local', 'secrets', 'src'])
  })

  it('says which lines it cannot obey', () => {
    expect(parseIgnoreFile('!keep\nsrc/key.pem\n.env').problems).toHaveLength(2)
  })

  it('a pattern without wildcard covers what has exactly its name', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\w.-]{1,12}$/), fc.stringMatching(/^[\w.-]{1,12}$/), (pattern, name) => {
        expect(coveredEntries([pattern], [{ name, isDirectory: false }])).toHaveLength(pattern === name ? 1 : 0)
      }),
    )
  })

  it('many stars take no time', () => {
    const begun = performance.now()
    coveredEntries(['*a'.repeat(50)], [{ name: 'a'.repeat(200), isDirectory: false }])
    expect(performance.now() - begun).toBeLessThan(100)
  })
})
