/**
 * What clients ask in workload (m): a number, and how long the answer is to be.
 * An answer has that number, and is a line of exactly so many letters more.
 */

export const question = (number: number, letters: number): string => `${number} ${letters}`

const form = /^(\d{1,9}) (\d{1,6})$/

/** The answer to a question, and to nonsense as well. */
export const answerTo = (question: string): string => {
  const [, number, letters] = form.exec(question) ?? []
  return letters === undefined ? "what?" : `${number} ${"a".repeat(Number(letters))}`
}

/** The number of the question that it answers, if it is whole. */
export const numberIn = (answer: string, letters: number): number => {
  const space = answer.indexOf(" ")
  return space > 0 && answer.length === space + 1 + letters ? Number(answer.slice(0, space)) : Number.NaN
}
