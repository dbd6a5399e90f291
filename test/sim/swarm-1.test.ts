// docs/simulator.md: half of the seeds of every test run; the other half is beside, so that two processors share them.
import { testSeeds } from "./swarm/seeds.js";

testSeeds(1, 2);
