/** When the owner of a socket is told, how often, and until when. */
import { describe, expect, it } from "vitest"
import type { Owner } from "../src/internal/engine.ts"
import { turn } from "../src/internal/turn.ts"
import { Notices } from "../src/internal/zmtp/notices.ts"
import { SocketEvent } from "../src/SocketEvent.ts"
import { nextTurn } from "./support/zmtpWire.ts"

const microtasks = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}

const opened = () => {
  const told: Array<string> = []
  const state = { ready: false }
  const owner: Owner = {
    wanted: 1,
    sent: 0,
    onMessages: () => void told.push("messages"),
    onRoom: (lane) => void told.push(`room ${lane}`),
    onEvent: ({ _tag }) => void told.push(_tag),
    onPeers: () => void told.push("peers"),
    onDropped: () => void told.push("dropped"),
    onEnd: () => void told.push("end")
  }
  return { notices: new Notices(owner, () => state.ready), told, state, owner }
}

const closed = SocketEvent.Closed({ endpoint: "inproc://a" })

describe("messages", () => {
  it("are told of later, once for each time that somebody listens", async () => {
    const { notices, state, told } = opened()
    notices.listen()
    state.ready = true
    for (let i = 0; i < 3; i++) notices.messages()
    expect(told).toEqual([])
    await microtasks()
    expect(told).toEqual(["messages"])
    notices.messages()
    await microtasks()
    expect(told).toEqual(["messages"])
    // What is here already.
    notices.listen()
    await microtasks()
    expect(told).toEqual(["messages", "messages"])
  })

  it("are not told of where nobody listens, or where they are gone by then", async () => {
    const { notices, state, told } = opened()
    state.ready = true
    notices.messages()
    await microtasks()
    notices.listen()
    state.ready = false
    await microtasks()
    expect(told).toEqual([])
    // The wish is not lost with them.
    state.ready = true
    notices.messages()
    await microtasks()
    expect(told).toEqual(["messages"])
  })

  it("are not told of once it is dismissed", async () => {
    const { notices, state, told } = opened()
    state.ready = true
    notices.listen()
    notices.dismiss()
    await microtasks()
    expect(told).toEqual([])
  })

  for (const when of ["before", "after"] as const)
    it(`wait for the next turn where this one is over ${when} they come`, async () => {
      await nextTurn()
      const { notices, state, told } = opened()
      state.ready = true
      if (when === "before") turn.spend(512)
      notices.listen()
      if (when === "after") turn.spend(512)
      await microtasks()
      expect(told).toEqual([])
      await nextTurn()
      await microtasks()
      expect(told).toEqual(["messages"])
    })
})

describe("room", () => {
  it("is told of later, once for each time that somebody waits in the lane", async () => {
    const { notices, told } = opened()
    notices.room("a")
    notices.awaitRoom("a")
    notices.awaitRoom("b")
    await microtasks()
    expect(told).toEqual([])
    for (const lane of ["a", "a", "c"]) notices.room(lane)
    expect(told).toEqual([])
    await microtasks()
    expect(told).toEqual(["room a"])
    // That there was some is over when it is told.
    notices.awaitRoom("a")
    notices.room("b")
    await microtasks()
    expect(told).toEqual(["room a", "room b"])
  })

  it("is not told of in a lane that somebody waited in, and does no more", async () => {
    const { notices, told } = opened()
    notices.awaitRoom("a")
    notices.room("a")
    notices.forgoRoom("a")
    notices.room("a")
    // Whoever waits now does so for what comes.
    notices.awaitRoom("a")
    await microtasks()
    expect(told).toEqual([])
    notices.room("a")
    await microtasks()
    expect(told).toEqual(["room a"])
  })

  it("is told of to who waits again while others are told", async () => {
    const { notices, owner, told } = opened()
    const again = (lane: string): void => {
      told.push(lane)
      if (told.length > 4) return
      notices.awaitRoom(lane)
      notices.room(lane)
    }
    Object.assign(owner, { onRoom: again })
    for (const lane of ["a", "b"]) notices.awaitRoom(lane)
    for (const lane of ["a", "b"]) notices.room(lane)
    await microtasks()
    expect(told).toEqual(["a", "b", "a", "b", "a", "b"])
  })
})

it("peers that come and go are told of later, once for all of them", async () => {
  const { notices, told } = opened()
  for (let i = 0; i < 3; i++) notices.peers()
  expect(told).toEqual([])
  await microtasks()
  notices.peers()
  await microtasks()
  expect(told).toEqual(["peers", "peers"])
})

it("events are told of later, each of them, in order", async () => {
  const { notices, told } = opened()
  for (const event of [SocketEvent.Accepted({ endpoint: "inproc://a" }), closed, closed])
    notices.event(event, () => undefined)
  expect(told).toEqual([])
  await microtasks()
  expect(told).toEqual(["Accepted", "Closed", "Closed"])
})

it("nothing is told once it is closed, nor what was to be told", async () => {
  const { notices, state, told } = opened()
  const tell = (): void => {
    state.ready = true
    notices.listen()
    notices.awaitRoom("a")
    notices.room("a")
    notices.peers()
    notices.event(closed, () => undefined)
  }
  tell()
  notices.dismiss()
  notices.close()
  await microtasks()
  tell()
  await microtasks()
  expect(told).toEqual([])
})
