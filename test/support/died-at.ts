import type { Service } from './service';

/**
 * Lets the service die by SIGKILL at a failpoint in the midst of `act`, and starts it again without
 * one.
 */
export async function diedAt(service: Service, point: string, act: () => Promise<unknown>): Promise<void> {
  await service.arm(point);
  await expect(act()).rejects.toThrow();
  await service.ended();
  await service.restart();
}
