// Preloaded into a service under test: keeps a second name of each file that is removed below
// BLOBS, so that a test sees all that was ever written.
const fs = require('node:fs');
const { basename } = require('node:path');

const kept = process.env.COFFER_TEST_KEPT;
let count = 0;

function keep(path) {
  if (kept === undefined || !String(path).includes('/blobs/') || basename(path).startsWith('.ping')) return;
  try {
    fs.linkSync(path, `${kept}/${process.pid}-${(count += 1)}`);
  } catch {
    // Nothing was there.
  }
}

for (const name of ['unlink', 'rm']) {
  const real = fs.promises[name];
  fs.promises[name] = (path, ...rest) => {
    keep(path);
    return real(path, ...rest);
  };
}
