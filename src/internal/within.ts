/** Waits in real time, whatever clock the program goes by: until `self` resolves, or for so many milliseconds. */
export const within = (millis: number, self: Promise<unknown>): Promise<void> =>
  new Promise((resolve) => {
    const timer = millis > longest ? undefined : setTimeout(resolve, millis)
    self.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })

// What a timer can wait for. Beyond that is for ever.
const longest = 2 ** 31 - 1
