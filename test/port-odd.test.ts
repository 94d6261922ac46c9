/** What `port.test.ts` does, on an engine that makes use of all that the port leaves to it. */
import "./support/atOddPort.ts"
import "./step-sweep.test.ts"
import "./ticks.test.ts"
import "./requests.test.ts"
import "./endings.test.ts"
import "./by-peer.test.ts"
