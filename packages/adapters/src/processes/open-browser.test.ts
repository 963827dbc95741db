import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openBrowser } from './open-browser.ts'

const url = 'https://as.test/authorize?state=a&x=$(touch%20here)\'"$&'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-browser-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

/** A browser that writes its arguments down, one in a line. */
async function program(name: string, code = 0): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, `#!/bin/sh\nprintf '%s\\n' "$@" > '${path}.args'\nexit ${code}\n`)
  await chmod(path, 0o755)
  return path
}

async function told(path: string): Promise<string[]> {
  return (await readFile(`${path}.args`, 'utf8')).trimEnd().split('\n')
}

async function open(environment: Record<string, string>, platform: NodeJS.Platform = 'linux'): Promise<boolean> {
  return await openBrowser({ platform, environment: { PATH: `${directory}:/usr/bin:/bin`, ...environment } }, url)
}

test('the browser of the user gets the URL as one argument that no shell has seen', async () => {
  const browser = await program('browser')
  expect(await open({ BROWSER: `${browser} --new-window` })).toBe(true)
  expect(await told(browser)).toEqual(['--new-window', url])
})

test('a place for the URL is filled, and the next one is tried when one fails', async () => {
  const [bad, good] = [await program('bad', 1), await program('good')]
  expect(await open({ BROWSER: `/nowhere/browser:${bad}:${good} --app=%s` })).toBe(true)
  expect(await told(bad)).toEqual([url])
  expect(await told(good)).toEqual([`--app=${url}`])
})

test('the desktop is asked where there is one', async () => {
  const opener = await program('xdg-open')
  expect(await open({})).toBe(false)
  expect(await open({ WAYLAND_DISPLAY: 'wayland-0' })).toBe(true)
  expect(await told(opener)).toEqual([url])
  const mac = await program('open')
  expect(await open({}, 'darwin')).toBe(true)
  expect(await told(mac)).toEqual([url])
})

test('without any program it says so', async () => {
  expect(await open({ DISPLAY: ':0', PATH: directory })).toBe(false)
  expect(await open({ BROWSER: '/nowhere/browser' })).toBe(false)
})

test.each(['file:///etc/passwd', 'javascript:alert(1)', '--help'])('%s is nothing to open', async (text) => {
  await expect(openBrowser({ platform: 'linux', environment: { DISPLAY: ':0' } }, text)).rejects.toThrow(
    /only web pages|Invalid URL/,
  )
})
