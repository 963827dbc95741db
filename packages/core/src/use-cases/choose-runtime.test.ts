import { describe, expect, it } from 'vitest'
import type { ImageStore } from '../ports/image-store.ts'
import { chooseRuntime } from './choose-runtime.ts'
import type { RunRequest } from './run-request.ts'

const signal = new AbortController().signal

async function choose(asked: Partial<RunRequest>, hasEngine: boolean): Promise<{ runtime: string; said: string[] }> {
  const images: ImageStore = {
    isReachable: async () => hasEngine,
    pull: () => Promise.reject(new Error('nothing is pulled for a choice')),
    build: () => Promise.reject(new Error('nothing is built for a choice')),
  }
  const said: string[] = []
  const request: RunRequest = { args: [], environment: {}, labels: {}, ...asked }
  const runtime = await chooseRuntime(images, request, (line) => said.push(line), signal)
  return { runtime, said }
}

const npx = { source: 'npx://server' }

describe('where a server runs', () => {
  it.each<[string, Partial<RunRequest>, { with: string; without: string }]>([
    ['a package takes an engine that answers', npx, { with: 'container', without: 'process' }],
    ['auto is the default', { ...npx, runtime: 'auto' }, { with: 'container', without: 'process' }],
    ['a package obeys', { ...npx, runtime: 'process' }, { with: 'process', without: 'process' }],
    ['a package obeys, and fails later', { ...npx, runtime: 'container' }, { with: 'container', without: 'container' }],
    ['no isolation is a process', { ...npx, isolation: 'none' }, { with: 'process', without: 'process' }],
    ['a flag for a build wants one', { ...npx, caCertificate: 'pem' }, { with: 'container', without: 'container' }],
    ['source code is built', { source: 'go:///home/me/server' }, { with: 'container', without: 'container' }],
    ['an image needs a container', { image: 'fetch' }, { with: 'container', without: 'container' }],
    ['a command is a process', { args: ['node', 'server.js'] }, { with: 'process', without: 'process' }],
  ])('%s: %j', async (_title, request, expected) => {
    expect((await choose(request, true)).runtime).toBe(expected.with)
    expect((await choose(request, false)).runtime).toBe(expected.without)
  })

  it('is told when it was not asked for, because an image takes time', async () => {
    expect((await choose(npx, true)).said.join()).toContain('--runtime process')
    expect((await choose(npx, false)).said).toEqual([])
    expect((await choose({ ...npx, runtime: 'container' }, true)).said).toEqual([])
  })

  it.each<Partial<RunRequest>>([
    { image: 'fetch', runtime: 'process' },
    { args: ['node'], runtime: 'container' },
    { source: 'go:///home/me/server', runtime: 'process' },
    { image: 'fetch', runtimeConfig: { builder_image: 'node:1' } },
    { ...npx, runtime: 'process', runtimeConfig: { builder_image: 'node:1' } },
    { args: ['node'], caCertificate: 'pem' },
  ])('is refused when it cannot be: %j', async (request) => {
    await expect(choose(request, true)).rejects.toMatchObject({ code: 'invalid-flag-combination' })
  })
})
