import { scanMembers, sliceElements } from './raw-message.ts'

/** The new text of a member's value; undefined drops the member. */
export type MemberChange = (key: string, valueText: string) => string | undefined

/**
 * The text of a JSON object with members changed, dropped, and added at its end.
 * Values that are not changed keep every character and their order. The text must
 * be valid JSON and an object.
 */
export function rewriteObject(
  text: string,
  change: MemberChange,
  added: Readonly<Record<string, string>> = {},
): string {
  const members: string[] = []
  scanMembers(text, 0, (key, start, end) => {
    const value = change(key, text.slice(start, end))
    if (value !== undefined) members.push(`${JSON.stringify(key)}:${value}`)
  })
  for (const [key, value] of Object.entries(added)) members.push(`${JSON.stringify(key)}:${value}`)
  return `{${members.join(',')}}`
}

/** The text of a JSON array with its elements changed or, where the change is undefined, dropped. Other texts stay. */
export function rewriteArray(text: string, change: (elementText: string) => string | undefined): string {
  if (!text.startsWith('[')) return text
  const elements = sliceElements(text, 0)
    .map(change)
    .filter((element) => element !== undefined)
  return `[${elements.join(',')}]`
}

/** Whether the text of a JSON value is that of an object. */
export function isObjectText(text: string | undefined): text is string {
  return text?.startsWith('{') === true
}
