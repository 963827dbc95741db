import { expect, test } from 'vitest'
import { resolveDirectories } from './directories.ts'

test('Linux defaults', () => {
  expect(resolveDirectories({ platform: 'linux', home: '/home/ann', environment: {} })).toEqual({
    config: '/home/ann/.config/toolhive',
    data: '/home/ann/.local/share/toolhive',
    state: '/home/ann/.local/state/toolhive',
    cache: '/home/ann/.cache/toolhive',
  })
})

test('macOS defaults', () => {
  const support = '/Users/ann/Library/Application Support/toolhive'
  expect(resolveDirectories({ platform: 'darwin', home: '/Users/ann', environment: {} })).toEqual({
    config: support,
    data: support,
    state: support,
    cache: '/Users/ann/Library/Caches/toolhive',
  })
})

test('Windows defaults', () => {
  const local = 'C:\\Users\\ann\\AppData\\Local'
  const expected = {
    config: `${local}\\toolhive`,
    data: `${local}\\toolhive`,
    state: `${local}\\toolhive`,
    cache: `${local}\\cache\\toolhive`,
  }
  const home = 'C:\\Users\\ann'
  expect(resolveDirectories({ platform: 'win32', home, environment: {} })).toEqual(expected)
  const environment = { LOCALAPPDATA: local }
  expect(resolveDirectories({ platform: 'win32', home: 'D:\\', environment })).toEqual(expected)
})

test.each(['linux', 'darwin'] as const)('the XDG variables win on %s', (platform) => {
  const environment = {
    XDG_CONFIG_HOME: '/x/config',
    XDG_DATA_HOME: '/x/data/',
    XDG_STATE_HOME: '/x/state',
    XDG_CACHE_HOME: '/x/cache',
  }
  expect(resolveDirectories({ platform, home: '/home/ann', environment })).toEqual({
    config: '/x/config/toolhive',
    data: '/x/data/toolhive',
    state: '/x/state/toolhive',
    cache: '/x/cache/toolhive',
  })
})

test.each(['', 'relative', './here', '~/x'])('the XDG value %j is ignored because it is not absolute', (value) => {
  const environment = { XDG_STATE_HOME: value }
  const { state } = resolveDirectories({ platform: 'linux', home: '/home/ann', environment })
  expect(state).toBe('/home/ann/.local/state/toolhive')
})
