import { describe, expect, it } from 'vitest'
import { imageWorkloadName, isMovingReference, parseImageReference, registryOf } from './image-reference.ts'

const digest = `sha256:${'a'.repeat(64)}`
const hub = 'https://index.docker.io/v1/'

describe('an image reference', () => {
  it.each([
    ['fetch', { repository: 'fetch', tag: undefined, digest: undefined }, hub, 'fetch', true],
    ['mcp/fetch:latest', { repository: 'mcp/fetch', tag: 'latest', digest: undefined }, hub, 'mcp-fetch', true],
    ['ghcr.io/a/b/c:1.2', { repository: 'ghcr.io/a/b/c', tag: '1.2', digest: undefined }, 'ghcr.io', 'b-c', false],
    [
      'localhost:5000/x',
      { repository: 'localhost:5000/x', tag: undefined, digest: undefined },
      'localhost:5000',
      'localhost-5000-x',
      true,
    ],
    [
      `127.0.0.1:5000/a_b@${digest}`,
      { repository: '127.0.0.1:5000/a_b', tag: undefined, digest },
      '127.0.0.1:5000',
      '127-0-0-1-5000-a-b',
      false,
    ],
    [
      'docker.io/library/node:24-alpine',
      { repository: 'docker.io/library/node', tag: '24-alpine', digest: undefined },
      hub,
      'library-node',
      false,
    ],
  ])('%s is taken apart', (...[text, parts, registry, name, moving]) => {
    const reference = parseImageReference(text)
    expect(reference).toEqual(parts)
    expect(registryOf(reference)).toBe(registry)
    expect(imageWorkloadName(reference)).toBe(name)
    expect(isMovingReference(reference)).toBe(moving)
  })

  it.each([
    '',
    'Fetch',
    'a b',
    '-x',
    'a//b',
    'a:',
    'a@sha256:12',
    '../x',
    'x\n',
    'http://x/y',
    'a:b:c',
    '--privileged',
  ])('%j is none', (text) => {
    expect(() => parseImageReference(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })
})
