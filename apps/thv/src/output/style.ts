import { styleText } from 'node:util'

/** Where and how much decoration is wanted. */
export interface StyleSettings {
  isTty: boolean
  environment: Record<string, string | undefined>
}

export type Tone = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** Whether colours are wanted: NO_COLOR and FORCE_COLOR decide, then the terminal. */
export function wantsColor(settings: StyleSettings): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = settings.environment
  if (no !== undefined && no !== '') return false
  if (force !== undefined && force !== '' && force !== '0') return true
  return settings.isTty && term !== 'dumb'
}

/** Colours a text, or leaves it as it is. */
export function paint(text: string, tone: Tone, color: boolean): string {
  return color ? styleText(tone, text) : text
}

/**
 * A text from outside made safe for a terminal: control characters (escape
 * sequences of a hostile server, carriage returns) become visible instead of acting. Tabs and line feeds stay.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
