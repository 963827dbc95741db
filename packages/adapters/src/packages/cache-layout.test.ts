import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryName, tagFile, temporaryName, temporaryOwner } from './cache-layout.ts'

describe('the directory name of a package version', () => {
  it.each([
    ['@scope/name', '1.2.3', '@scope+name@1.2.3'],
    ['plain', '1.0.0-Beta.1', 'plain@1.0.0-!beta.1'],
    ['github.com/Owner/Repo', 'v1.0.0', 'github.com+!owner+!repo@v1.0.0'],
    ['name[extra]', '1!2.0', 'name[extra]@1!!2.0'],
  ])('of %s %s is %s', (name, version, expected) => {
    expect(entryName(name, version)).toBe(expected)
  })

  const names = fc.oneof(
    fc.stringMatching(/^(@[a-z0-9~][\w.~-]{0,9}\/)?[a-z0-9~A-Z][\w.~-]{0,9}$/),
    fc.stringMatching(/^[a-zA-Z0-9][\w.~/-]{0,250}$/),
    fc.stringMatching(/^[a-zA-Z0-9][\w.-]{0,9}[a-z0-9](\[[\w.,-]{1,9}\])?$/),
  )
  const versions = fc.stringMatching(/^[0-9v][\w.+!-]{0,20}$/)

  it('is another one for every other package, also where case does not count', () => {
    fc.assert(
      fc.property(names, versions, names, versions, (name, version, otherName, otherVersion) => {
        fc.pre(name !== otherName || version !== otherVersion)
        expect(entryName(name, version).toLowerCase()).not.toBe(entryName(otherName, otherVersion).toLowerCase())
      }),
      { numRuns: 2_000 },
    )
  })

  it('is a single, short path element that reads back as no unfinished install', () => {
    fc.assert(
      fc.property(names, versions, (name, version) => {
        const entry = entryName(name, version)
        expect(entry).not.toMatch(/[/\\]/)
        expect(entry).not.toBe('..')
        expect(entry.length).toBeLessThanOrEqual(200)
        expect(entry.toLowerCase()).toBe(entry)
      }),
    )
  })

  it.each([
    ['../../etc', '1.0.0/..'],
    ['a', '..\\b'],
    ['a', '>=1'],
    ['a\0b', '1'],
    ['a b', '1'],
  ])('is refused for %j %j', (name, version) => {
    expect(() => entryName(name, version)).toThrow(/directory name/)
  })
})

describe('other names in the cache', () => {
  it('of an unfinished install tell who makes it', () => {
    expect(temporaryOwner(temporaryName('x@1.0.0', 4711, '00c0ffee'))).toBe(4711)
    expect(temporaryOwner('x@1.0.0')).toBeUndefined()
    expect(temporaryOwner('x@1.0.0.tmp-12-zz')).toBeUndefined()
  })

  it('of a remembered version differ by name and range', () => {
    const files = [
      tagFile('/c', 'npx', 'a', undefined),
      tagFile('/c', 'npx', 'a', 'latest'),
      tagFile('/c', 'npx', 'a', '^1'),
      tagFile('/c', 'npx', 'a/b', undefined),
      tagFile('/c', 'uvx', 'a', undefined),
    ]
    expect(new Set(files).size).toBe(files.length)
  })
})
