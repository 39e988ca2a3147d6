// The container's health: exit code 0 while the service is alive. Liveness and not readiness, because an orchestrator restarts what
// is unhealthy, and a restart does not bring a database or a Vault back.
const answer = await fetch(`http://127.0.0.1:${process.env.PORT ?? 8000}/livez`, {
  signal: AbortSignal.timeout(4000),
}).catch(() => undefined);
process.exitCode = answer?.ok ? 0 : 1;
