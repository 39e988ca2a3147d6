// Loaded by `node --require`: the process sees a machine of 16 cores.
require('node:os').availableParallelism = () => 16;
