import { spawn } from 'node:child_process'
import { processLimits } from './process-limits.ts'

/** Whose browser it is. */
export interface BrowserOptions {
  platform: NodeJS.Platform
  environment: Readonly<Record<string, string | undefined>>
}

/**
 * Opens an http or https URL in the user's browser: the one that `BROWSER` names, else that of the desktop. No shell is
 * involved, and the URL is one argument. Resolves to whether something was opened; never rejects for want of a browser.
 */
export async function openBrowser({ platform, environment }: BrowserOptions, url: string): Promise<boolean> {
  const { protocol } = new URL(url)
  if (protocol !== 'http:' && protocol !== 'https:') throw new TypeError('only web pages are opened in a browser')
  for (const command of commandsFor({ platform, environment }, url)) {
    if (await start(command, environment)) return true
  }
  return false
}

interface Command {
  executable: string
  args: string[]
}

function commandsFor({ platform, environment }: BrowserOptions, url: string): Command[] {
  const wished = (environment['BROWSER'] ?? '').split(platform === 'win32' ? ';' : ':')
  const commands = wished.flatMap((line) => commandOf(line, url) ?? [])
  if (commands.length > 0) return commands
  if (platform === 'darwin') return [{ executable: 'open', args: [url] }]
  // Not `start`, which is a word of a shell.
  if (platform === 'win32') return [{ executable: 'rundll32.exe', args: ['url.dll,FileProtocolHandler', url] }]
  // Without a desktop xdg-open takes a browser for terminals, and the terminal with it.
  const hasDesktop = [environment['DISPLAY'], environment['WAYLAND_DISPLAY']].some((name) => (name ?? '') !== '')
  return hasDesktop ? [{ executable: 'xdg-open', args: [url] }] : []
}

/** One program of `BROWSER`, with its arguments; `%s` stands for the URL, which is the last argument otherwise. */
function commandOf(line: string, url: string): Command | undefined {
  const [executable, ...args] = line.split(' ').filter((word) => word !== '')
  if (executable === undefined) return undefined
  const hasPlace = args.some((word) => word.includes('%s'))
  // A function, because `$&` in a URL is no pattern.
  return { executable, args: hasPlace ? args.map((word) => word.replaceAll('%s', () => url)) : [...args, url] }
}

/** Some browsers stay, others hand the URL to one that runs already and end at once. */
async function start({ executable, args }: Command, environment: BrowserOptions['environment']): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const child = spawn(executable, args, {
      detached: true,
      stdio: 'ignore',
      windowsHide: true,
      env: { ...environment },
    })
    const stays = setTimeout(() => resolve(true), processLimits.browserMs)
    const settle = (isOpen: boolean): void => {
      clearTimeout(stays)
      resolve(isOpen)
    }
    child.once('error', () => settle(false))
    child.once('exit', (code) => settle(code === 0))
    child.unref()
  })
}
