/**
 * What is to be done a little later. A clock for tests (`TestClock.layer`) moves on when
 * all that it has woken has come to rest. It knows that by the tasks of its own
 * scheduler: so what is done later for a fiber that goes by it is such a task.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { MixedScheduler, type Scheduler } from "effect/Scheduler"

const resolved = Promise.resolve()

// Of what runs now, where that is no fiber.
let current: Scheduler | undefined

/** Runs what no fiber runs, for one that goes by a scheduler. */
const runBy = (scheduler: Scheduler, run: () => void): void => {
  const before = current
  current = scheduler
  try {
    run()
  } finally {
    current = before
  }
}

// The scheduler that wants to know of it, if one does: Effect's own does not.
const whoAsks = (): Scheduler | undefined => {
  const scheduler = Fiber.getCurrent()?.cache.scheduler ?? current
  return scheduler instanceof MixedScheduler ? undefined : scheduler
}

/** As `queueMicrotask`, which takes three times as long on Node: it makes an AsyncResource each time. */
export const microtask = (run: () => void): void => {
  const scheduler = whoAsks()
  if (scheduler === undefined) return void resolved.then(run)
  const dispatcher = scheduler.makeDispatcher()
  dispatcher.scheduleTask(() => runBy(scheduler, run), 0)
  void resolved.then(() => dispatcher.flush())
}

/** Lets the microtasks that are queued run first. */
export const nextMicrotask: Effect.Effect<void> = Effect.callback((resume) => microtask(() => resume(Effect.void)))

/** Runs in the next turn of the event loop, if a scheduler wants to know of it. Says whether one does. */
export const nextTurnByTask = (run: () => void): boolean => {
  const scheduler = whoAsks()
  scheduler?.makeDispatcher().scheduleTask(() => runBy(scheduler, run), 0)
  return scheduler !== undefined
}

/** As `then`: meanwhile there is a task, in each turn of the event loop, for a scheduler that wants to know. */
export const whenResolved = <A, B>(promise: Promise<A>, run: (value: A) => B): Promise<B> => {
  const scheduler = whoAsks()
  if (scheduler === undefined) return promise.then(run)
  const dispatcher = scheduler.makeDispatcher()
  let ready = (): void => wait()
  const wait = (): void => dispatcher.scheduleTask(() => runBy(scheduler, ready), 0)
  wait()
  return new Promise((resolve, reject) => {
    const end = (run: () => void): void => {
      ready = run
      dispatcher.flush()
    }
    promise.then(
      (value) =>
        end(() => {
          resolve(run(value))
        }),
      (error) => end(() => reject(error))
    )
  })
}
