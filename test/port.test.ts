/**
 * What is promised above the port, on an engine that has nothing of zeromq.js: the
 * tests with a scripted socket once more, one floor higher. Those that are of the
 * binding alone say so, with `skipIf(floor === "port")`.
 */
import "./support/atPort.ts"
import "./step-sweep.test.ts"
import "./ticks.test.ts"
import "./requests.test.ts"
import "./endings.test.ts"
import "./by-peer.test.ts"
import "./send-all.test.ts"
import "./until.test.ts"
import "./retry.test.ts"
import "./batches.test.ts"
import "./handlers-codec.test.ts"
import "./services.test.ts"
