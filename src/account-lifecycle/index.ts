export { AccountLifecycleModule } from './account-lifecycle.module';
export type { ErasureReceipt } from './receipt';
export { ReceiptFault, verifyReceipt } from './receipt-jws';
export { Receipts, type SignedReceipt } from './receipts';
