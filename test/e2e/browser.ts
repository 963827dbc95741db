import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { account } from '../fixtures/oauth/login-pages.ts'

const execute = promisify(execFile)

/** The name of a Chromium of this machine; undefined when there is none. */
export function findBrowser(): string | undefined {
  return ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
    return spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined
  })
}

/** Where a program of the search path is. */
function pathOf(program: string): string {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path))!
}

/** A person with a browser, which forgets everything when it is closed. */
export interface Person {
  /**
   * Opens a URL, logs in and consents at the fixture's authorization server where it asks, and resolves to the page and the
   * URL at the end.
   */
  logIn(url: string): Promise<{ text: string; url: string }>
  close(): Promise<void>
}

/** Starts a browser without a window. */
export async function startPerson(browser: string): Promise<Person> {
  const chrome = await chromium.launch({ executablePath: pathOf(browser), args: ['--no-sandbox', '--disable-gpu'] })
  return {
    logIn: async (url) => {
      const context = await chrome.newContext()
      try {
        const page = await context.newPage()
        await page.goto(url)
        if ((await page.locator('#password').count()) > 0) {
          await page.fill('#login', account.login)
          await page.fill('#password', account.password)
          await page.click('#continue')
        }
        if ((await page.locator('#continue').count()) > 0) await page.click('#continue')
        return { text: await page.innerText('body'), url: page.url() }
      } finally {
        await context.close()
      }
    },
    close: async () => await chrome.close(),
  }
}

/** Opens a page in a browser of its own, and resolves to its markup when its scripts have nothing left to do. */
export async function renderPage(browser: string, url: string): Promise<string> {
  const profile = await mkdtemp(join(tmpdir(), 'thv-browser-'))
  try {
    const quiet = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run']
    const args = [...quiet, `--user-data-dir=${profile}`, '--virtual-time-budget=20000', '--dump-dom', url]
    const { stdout } = await execute(browser, args, { timeout: 90_000, maxBuffer: 16 * 1024 * 1024 })
    return stdout
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A site of one page. */
export interface Site {
  origin: string
  /** From now on the page runs this script, and its value as JSON becomes the text of the page. */
  serve(script: string): void
  close(): Promise<void>
}

/** Opens a site on a free port. */
export async function openSite(): Promise<Site> {
  let script = 'return null'
  const server: Server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><meta charset="utf-8"><pre></pre>
<script type="module">
const result = await (async () => { ${script} })()
document.querySelector('pre').textContent = JSON.stringify(result)
</script>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    origin: `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`,
    serve: (next) => {
      script = next
    },
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** What the script of a site came to. */
export async function runPage(browser: string, site: Site, script: string): Promise<unknown> {
  site.serve(script)
  const markup = await renderPage(browser, `${site.origin}/`)
  const text = /<pre>(.*?)<\/pre>/s.exec(markup)?.[1] ?? ''
  return JSON.parse(text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'))
}
