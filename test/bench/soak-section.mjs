export async function runSoakSection() {
  throw new Error('later')
}
