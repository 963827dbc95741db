/** What a browser is told at the end of a login. */
export type LoginPage = keyof typeof pages

/** The page: no script, nothing from elsewhere, and nothing of what it was asked with. */
export function loginPage(page: LoginPage): string {
  const { title, text } = pages[page]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>thv: ${title}</title>
<style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem }</style>
<h1>${title}</h1>
<p>${text}</p>
</html>
`
}

const pages = {
  done: { title: 'You are logged in', text: 'You can close this window. thv has what it needs.' },
  failed: { title: 'The login has failed', text: 'thv says why where it was begun. You can close this window.' },
  answered: { title: 'This was answered already', text: 'A login is answered once. You can close this window.' },
  stranger: { title: 'Nobody waits for this', text: 'This is no answer to the login that thv has begun.' },
  elsewhere: { title: 'There is nothing here', text: 'Only the end of a login arrives here.' },
} as const
