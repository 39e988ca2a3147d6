import { asOneOperation, OPERATION_MS, operationDeadline } from './operation-deadline';
import { useRealDeadlines } from '../../test/support/settings';

useRealDeadlines();

describe('The deadline of an operation', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  const left = (): number => operationDeadline() - performance.now();

  it.each([
    ['back', -3_600_000],
    ['forward', 3_600_000],
  ])('neither moves nor passes where the wall clock is set %s', async (_, step) => {
    await asOneOperation(async () => {
      await jest.advanceTimersByTimeAsync(200);
      jest.setSystemTime(Date.now() + step);
      expect(left()).toBe(OPERATION_MS - 200);
    });
  });
});
