import type { CommandContext } from './command.ts'

/** Shows a person where to log in: in their browser, or as a line of text where there is none or it is not wanted. */
export async function showLogin(
  { container, output }: CommandContext,
  url: string,
  { skipsBrowser }: { skipsBrowser: boolean },
): Promise<void> {
  const { openBrowser } = await container.adapters()
  const { environment } = container
  if (!skipsBrowser && (await openBrowser({ platform: process.platform, environment }, url))) {
    output.progress('waiting for the login in the browser')
    return
  }
  // Tools match on this sentence: spec/local 11.2.
  output.note(`Please open this URL in your browser: ${url}`)
  output.progress('waiting for the login')
}
